"""`add_task`: rows become a frozen expert."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from registry import Job, Registry
from registry.names import check_task
from trainer import kinds
from trainer.data import read_task, task_name
from trainer.jobs import enqueue_version, given, whole
from trainer.progress import Progress
from trainer.settings import settings_of
from trainer.tasks import check_settings, refuse_other_kind


def submit(
    registry: Registry,
    data: str | Path,
    *,
    name: str | None = None,
    base_model: str | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    **columns: Any,
) -> Job:
    """Read and check rows, and ask for an expert from them. The file is not needed any more afterwards.

    Args:
        settings: fields of `ExpertSettings`, where they differ from its defaults.
        columns: `kind`, `text`, `text_pair`, `label`, `validation`, `test`: as of `trainer.add_task`.

    Raises:
        DataRefusedError, ConflictError, NotFoundError, InvalidSettingError: as `trainer.add_task`.
    """
    chosen = settings_of(settings or {})
    kinds.check("adapters", chosen.adapter)
    rows = read_task(data, kinds.load_all("tasks"), **columns)
    check_settings(rows, chosen)
    task = check_task(task_name(data) if name is None else name)
    refuse_other_kind(registry, task, rows.kind)
    params = {"base_model": whole(base_model), "settings": dict(settings or {}), "device": device}
    files = {split: Path(columns[split]).name for split in ("validation", "test") if columns.get(split)}
    if files:  # Their rows are among the others; the names are for who asks for the same again.
        params["files"] = files
    return enqueue_version(registry, "add_task", task, rows, params)


def run(
    registry: Registry,
    job: Job,
    *,
    on_progress: Progress,
    finish: Callable[[dict[str, Any]], object],
    guard: Callable[[], object],
) -> None:
    """Train and freeze the expert."""
    from trainer.pipeline import add_rows

    asked = job.params
    add_rows(
        registry,
        asked["task"],
        given(registry, job),
        base_model=asked["base_model"],
        settings=settings_of(asked["settings"]),
        device=asked["device"],
        on_progress=on_progress,
        finish=lambda added: finish(added.as_json()),
        guard=guard,
    )
