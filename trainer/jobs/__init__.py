"""Job kinds, one module each: work that is asked for now and done by a worker. The contract, held by
`tests/trainer/jobs/test_contract.py`:

- `submit(registry, ...) -> Job`: checks what is asked for and puts it on record. It loads no torch, so that
  an answer comes at once, and refuses here what can be refused.
- `run(registry, job, *, on_progress, finish, guard)`: does the work. `finish(result)` is called once, in the
  transaction that publishes what came of it; `guard()` before anything else is written that others could
  take for the job's.

A result is a JSON document: what the command prints with `--json`.
"""
