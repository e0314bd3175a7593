"""`adapt`: a few rows, and the experts that there are, become one more expert."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from registry import Job, Registry
from registry.names import check_task
from trainer.data import task_name
from trainer.few_rows import read_few
from trainer.jobs import enqueue_version, given
from trainer.progress import Progress
from trainer.selection import choose_parents
from trainer.settings import ExpertSettings
from trainer.tasks import refuse_other_kind


def submit(
    registry: Registry,
    data: str | Path,
    *,
    name: str | None = None,
    experts: Sequence[str] | None = None,
    rank: int | None = None,
    max_length: int = ExpertSettings.max_length,
    device: str = "auto",
    **columns: Any,
) -> Job:
    """Read and check rows, and ask for an expert combined from others by them; arguments and errors as of
    `trainer.adapt`."""
    ExpertSettings(rank=rank, max_length=max_length)
    rows = read_few(data, **columns)
    task = check_task(task_name(data) if name is None else name)
    refuse_other_kind(registry, task, rows.kind)
    chosen = choose_parents(registry, task, experts)
    params = {
        "experts": None if experts is None else [expert.name for expert in chosen],
        "rank": rank,
        "max_length": max_length,
        "device": device,
    }
    return enqueue_version(registry, "adapt", task, rows, params)


def run(
    registry: Registry,
    job: Job,
    *,
    on_progress: Progress,
    finish: Callable[[dict[str, Any]], object],
    guard: Callable[[], object],
) -> None:
    """Search, solve and freeze the expert."""
    from trainer.pipeline import adapt_rows

    asked = job.params
    adapt_rows(
        registry,
        asked["task"],
        given(registry, job),
        experts=asked["experts"],
        rank=asked["rank"],
        max_length=asked["max_length"],
        device=asked["device"],
        on_progress=on_progress,
        finish=lambda adapted: finish(adapted.as_json()),
    )
