"""Job kinds, one module each: work that is asked for now and done by a worker. The contract, held by
`tests/trainer/jobs/test_contract.py`:

- `submit(registry, ...) -> Job`: checks what is asked for and puts it on record. It loads no torch, so that
  an answer comes at once, and refuses here what can be refused.
- `run(registry, job, *, on_progress, finish, guard)`: does the work. `finish(result)` is called once, in the
  transaction that publishes what came of it; `guard()` before anything else is written that others could
  take for the job's.
- `settings_of(given)`, of kinds whose `params` have `settings`: reads them, and refuses what no work could be
  done with.

A result is a JSON document: what the command prints with `--json`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from registry import Job, Registry
from registry.canonical import sha256_of
from registry.errors import InvalidSettingError
from trainer import kinds
from trainer.data import TaskData


def describe(rows: TaskData) -> tuple[dict[str, Any], bytes]:
    """Checked rows as a job's `params["rows"]`, and their bytes, which are its input."""
    content = rows.to_jsonl()
    described = {
        "sha256": sha256_of(content),
        "kind": rows.kind,
        "labels": rows.labels,
        "columns": rows.columns,
        "source": Path(rows.source).name,
        "findings": rows.findings,
    }
    return described, content


def enqueue_version(registry: Registry, kind: str, task: str, rows: TaskData, params: dict[str, Any]) -> Job:
    """Put work on record that makes the next version of a task from rows, with `params` beside `rows` and
    `task`. Of two such jobs for one task the second begins when the first has ended: they would work side by
    side."""
    described, content = describe(rows)
    return registry.jobs.enqueue(
        kind,
        {"rows": described, "task": task, **params},
        inputs=[content],
        task=task,
        exclusive_key=f"add_task {task}",
    )


def given(registry: Registry, job: Job) -> TaskData:
    """The rows that a job was given."""
    return restore(job.params["rows"], registry.jobs.input(job))


def restore(described: Mapping[str, Any], content: bytes) -> TaskData:
    """The rows that `describe` described, whose bytes were kept."""
    facts = {name: value for name, value in described.items() if name != "sha256"}
    return TaskData.from_jsonl(content, **facts)


def whole(base_model: str | None) -> str | None:
    """The spec of a base model as a worker elsewhere reads it: a folder or file by its whole path."""
    if base_model is None or not Path(base_model).expanduser().exists():
        return base_model
    return str(Path(base_model).expanduser().resolve())


def clone(registry: Registry, number: int, settings: Mapping[str, Any] | None = None) -> Job:
    """Asks once more for what a job was asked for.

    Args:
        settings: take the place of its own, in kinds of jobs that have settings.

    Raises:
        ConflictError: its rows are not kept any more.
        InvalidSettingError: it has no such settings.
    """
    job = registry.jobs.get(number)
    params = dict(job.params)
    if settings is not None:
        kind = kinds.load("jobs", job.kind)
        if not hasattr(kind, "settings_of"):
            raise InvalidSettingError(f"Job {number} ({job.kind}) has no settings that could be changed.")
        kind.settings_of(settings)
        params["settings"] = dict(settings)
    registry.jobs.check_inputs(job)
    return registry.jobs.enqueue(
        job.kind,
        params,
        inputs=[registry.blobs.get(sha256) for sha256 in job.inputs],
        task=job.task,
        exclusive_key=job.exclusive_key,
    )
