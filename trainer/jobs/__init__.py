"""Job kinds, one module each: work that is asked for now and done by a worker. The contract, held by
`tests/trainer/jobs/test_contract.py`:

- `submit(registry, ...) -> Job`: checks what is asked for and puts it on record. It loads no torch, so that
  an answer comes at once, and refuses here what can be refused.
- `run(registry, job, *, on_progress, finish, guard)`: does the work. `finish(result)` is called once, in the
  transaction that publishes what came of it; `guard()` before anything else is written that others could
  take for the job's.

A result is a JSON document: what the command prints with `--json`.
"""

from pathlib import Path
from typing import Any

from registry import Job, Registry
from registry.canonical import sha256_of
from trainer.data import TaskData


def describe(rows: TaskData) -> dict[str, Any]:
    """Checked rows as a job's `params["rows"]`; their bytes are its input."""
    return {
        "sha256": sha256_of(rows.to_jsonl()),
        "kind": rows.kind,
        "labels": rows.labels,
        "columns": rows.columns,
        "source": Path(rows.source).name,
        "findings": rows.findings,
    }


def given(registry: Registry, job: Job) -> TaskData:
    """The rows that a job was given."""
    facts = {name: value for name, value in job.params["rows"].items() if name != "sha256"}
    return TaskData.from_jsonl(registry.jobs.input(job), **facts)
