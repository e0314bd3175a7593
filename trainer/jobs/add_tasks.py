"""`add_tasks`: rows of several tasks become frozen experts, one after the other or, on a GPU, all in one
training."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from registry import Job, Registry
from trainer import kinds
from trainer.jobs import describe, restore, whole
from trainer.progress import Progress
from trainer.settings import settings_of
from trainer.tasks import check_settings, read_tasks, refuse_other_kind


def submit(
    registry: Registry,
    files: Sequence[str | Path],
    *,
    base_model: str | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    **columns: Any,
) -> Job:
    """Read and check the rows of every file, and ask for an expert from each. The files are not needed any
    more afterwards.

    Args:
        settings: fields of `ExpertSettings`, where they differ from its defaults.
        columns: `kind`, `text`, `text_pair`, `label`: as of `trainer.add_tasks`.

    Raises:
        DataRefusedError, ConflictError, NotFoundError, InvalidSettingError: as `trainer.add_tasks`.
    """
    chosen = settings_of(settings or {})
    kinds.check("adapters", chosen.adapter)
    asked = read_tasks(files, **columns)
    for task, rows in asked:
        refuse_other_kind(registry, task, rows.kind)
        check_settings(rows, chosen)
    described = [(task, *describe(rows)) for task, rows in asked]
    params = {
        "tasks": [{"task": task, "rows": rows} for task, rows, _ in described],
        "base_model": whole(base_model),
        "settings": dict(settings or {}),
        "device": device,
    }
    return registry.jobs.enqueue("add_tasks", params, inputs=[content for *_, content in described])


def run(
    registry: Registry,
    job: Job,
    *,
    on_progress: Progress,
    finish: Callable[[dict[str, Any]], object],
    guard: Callable[[], object],
) -> None:
    """Train and freeze the experts, each in a transaction of its own: what is frozen stays when a later one
    fails, and is found again by the next attempt. The job ends with the last."""
    from trainer.pipeline import AddedTask, add_all

    asked = job.params
    added: list[dict[str, Any]] = []

    def publish(one: AddedTask) -> None:
        added.append(one.as_json())
        if len(added) < len(asked["tasks"]):
            guard()
        else:
            finish({"added": added})

    add_all(
        registry,
        [
            (one["task"], restore(one["rows"], registry.jobs.input(job, place)))
            for place, one in enumerate(asked["tasks"])
        ],
        base_model=asked["base_model"],
        settings=settings_of(asked["settings"]),
        device=asked["device"],
        on_progress=on_progress,
        finish=publish,
        guard=guard,
    )
