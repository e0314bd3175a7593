"""`evaluate`: an expert or a generation is measured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from registry import Job, Registry
from registry.errors import InvalidSettingError
from registry.names import ROUTER, parse
from trainer.jobs import describe, given
from trainer.measuring import check_split, read_trial
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
    if ref is None or parse(ref).subject == ROUTER:
        if data is not None:
            raise InvalidSettingError(
                "rows from a file measure one expert: name it, such as `evaluate sst2 --data FILE`"
            )
        subject, task = registry.generation(ref).name, None
    else:
        expert = registry.expert(ref)
        subject, task = expert.name, expert.task
    params: dict[str, Any] = {"ref": subject, "split": split, "device": device, "rows": None}
    if data is None:
        return registry.jobs.enqueue("evaluate", params, task=task)
    rows = read_trial(data, expert)
    params["rows"] = describe(rows)
    return registry.jobs.enqueue("evaluate", params, inputs=[rows.to_jsonl()], task=task)


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
