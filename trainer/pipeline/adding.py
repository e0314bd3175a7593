"""`add_task`: a file of rows becomes a frozen expert. `add_tasks`: several files become several."""

from collections.abc import Callable, Sequence
from pathlib import Path

from registry import Registry
from registry.names import check_task
from trainer import kinds
from trainer.base_model import BaseModel
from trainer.data import Given, TaskData, read_task, task_name
from trainer.pipeline.freezing import AddedTask, Publish
from trainer.pipeline.instant import probe_of, publish_probe
from trainer.pipeline.making import Making
from trainer.pipeline.plans import TrainingPlan
from trainer.progress import Labelled, Progress, silent
from trainer.settings import ExpertSettings
from trainer.tasks import check_settings, read_tasks, refuse_other_kind
from trainer.training import train_together


def add_task(
    registry: Registry,
    data: Given,
    *,
    name: str | None = None,
    kind: str | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    validation: Given | None = None,
    test: Given | None = None,
    base_model: str | BaseModel | None = None,
    settings: ExpertSettings | None = None,
    device: str = "auto",
    on_progress: Progress = silent,
) -> AddedTask:
    """Read and check rows, train an expert on them, freeze it as the task's next version.

    Args:
        data: CSV, TSV, JSON Lines or Parquet file, or a dataset of the Hugging Face library, with the splits
            it has; `validation` and `test`: those rows, otherwise set aside from `data`.
        name: of the task; by default that of the file or dataset.
        text, text_pair, label: columns, where their names do not say it.
        base_model: a spec (see `trainer.sources`) or a loaded base model.

    Raises:
        DataRefusedError: the rows cannot be taken as they are.
        ConflictError: the task exists with another kind.
        NotFoundError: an unknown column, adapter kind or base model.
        InvalidSettingError: a setting out of range for this base model.
    """
    rows = read_task(
        data,
        kinds.load_all("tasks"),
        kind=kind,
        text=text,
        text_pair=text_pair,
        label=label,
        validation=validation,
        test=test,
    )
    return add_rows(
        registry,
        task_name(data) if name is None else name,
        rows,
        base_model=base_model,
        settings=settings,
        device=device,
        on_progress=on_progress,
    )


def add_tasks(
    registry: Registry,
    files: Sequence[str | Path],
    *,
    kind: str | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    base_model: str | BaseModel | None = None,
    settings: ExpertSettings | None = None,
    device: str = "auto",
    together: bool | None = None,
    on_progress: Progress = silent,
) -> list[AddedTask]:
    """As `add_task`, from several files: a frozen expert of each, in their order, each in a transaction of
    its own. Every task is called as its file.

    Args:
        together: share each pass through the base model among all of them; by default on a GPU only, where
            that is faster.

    Raises:
        InvalidSettingError: two files of the same name; else as `add_task`, before anything is trained.
    """
    columns = {"kind": kind, "text": text, "text_pair": text_pair, "label": label}
    return add_all(
        registry,
        read_tasks(files, **columns),
        base_model=base_model,
        settings=settings,
        device=device,
        together=together,
        on_progress=on_progress,
    )


def add_rows(
    registry: Registry,
    task: str,
    rows: TaskData,
    *,
    base_model: str | BaseModel | None = None,
    settings: ExpertSettings | None = None,
    device: str = "auto",
    on_progress: Progress = silent,
    finish: Publish = lambda added: None,
    guard: Callable[[], object] = lambda: None,
) -> AddedTask:
    """`add_task` from rows that were read and checked before; see `add_all`."""
    [added] = add_all(
        registry,
        [(task, rows)],
        base_model=base_model,
        settings=settings,
        device=device,
        on_progress=on_progress,
        finish=finish,
        guard=guard,
    )
    return added


def add_all(
    registry: Registry,
    asked: Sequence[tuple[str, TaskData]],
    *,
    base_model: str | BaseModel | None = None,
    settings: ExpertSettings | None = None,
    device: str = "auto",
    together: bool | None = None,
    on_progress: Progress = silent,
    finish: Publish = lambda added: None,
    guard: Callable[[], object] = lambda: None,
) -> list[AddedTask]:
    """`add_tasks` from rows that were read and checked before.

    A run that was killed goes on where its last checkpoint left it when it is called again with the same rows
    and settings.

    Args:
        asked: names of tasks, and their rows.
        finish: called in the transaction that publishes each expert; when it raises, nothing is published.
        guard: called before a checkpoint is written; raises when the work is somebody else's by now.
    """
    settings = settings or ExpertSettings()
    for task, rows in asked:
        refuse_other_kind(registry, check_task(task), rows.kind)
        check_settings(rows, settings)
    if not isinstance(base_model, BaseModel):
        base_model = BaseModel.load(base_model, device=device, on_progress=on_progress)
    plans = [TrainingPlan.settle(task, rows, base_model, settings) for task, rows in asked]
    reporters = [Labelled(on_progress, plan.task) if len(plans) > 1 else on_progress for plan in plans]
    each = list(zip(plans, reporters, strict=True))
    if not plans[0].architecture.targets:  # A head alone: nothing is trained.
        return [publish_probe(registry, probe_of(plan), finish, report) for plan, report in each]
    makings = [Making(registry, plan, guard, report) for plan, report in each]
    if settings.instant:
        for making in makings:
            making.answer_meanwhile()
    if together is None:
        together = base_model.device.type == "cuda"
    found: list[AddedTask] = []
    for group in [makings] if together else [[making] for making in makings]:
        trainees = [making.trainee() for making in group if making.there is None]
        if trainees:
            train_together(trainees, on_progress=on_progress if len(group) > 1 else group[0].on_progress)
        found += [making.publish(finish) for making in group]
    return found
