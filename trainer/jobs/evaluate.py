"""`evaluate`: an expert or a generation is measured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from registry import Job, Registry
from trainer.jobs import describe, given
from trainer.measuring import check_split, measures_expert, read_trial
from trainer.progress import Progress


def submit(
    registry: Registry,
    ref: str | None = None,
    *,
    split: str = "test",
    data: str | Path | None = None,
    device: str = "auto",
) -> Job:
    """Ask for a measurement; arguments and errors as of `trainer.evaluate`."""
    check_split(split)
    if measures_expert(ref, data):
        expert = registry.expert(ref)
        subject, task = expert.name, expert.task
    else:
        subject, task = registry.generation(ref).name, None
    params: dict[str, Any] = {"ref": subject, "split": split, "device": device, "rows": None}
    if data is None:
        return registry.jobs.enqueue("evaluate", params, task=task)
    rows = read_trial(data, expert)
    params["rows"], content = describe(rows)
    return registry.jobs.enqueue("evaluate", params, inputs=[content], task=task)


def run(
    registry: Registry,
    job: Job,
    *,
    on_progress: Progress,
    finish: Callable[[dict[str, Any]], object],
    guard: Callable[[], object],
) -> None:
    """Measure, and put the numbers on record."""
    from trainer.pipeline import evaluate

    asked = job.params
    evaluate(
        registry,
        asked["ref"],
        split=asked["split"],
        data=None if asked["rows"] is None else given(registry, job),
        device=asked["device"],
        on_progress=on_progress,
        finish=lambda report: finish(report.as_json()),
    )
