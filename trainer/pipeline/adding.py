"""`add_task`: a file of rows becomes a frozen expert."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from registry import Evaluation, Expert, Registry
from registry.names import check_task
from registry.records import EvaluationFacts
from trainer import kinds
from trainer.base_model import BaseModel
from trainer.checkpoints import Checkpoint
from trainer.data import TaskData, read_task, task_name
from trainer.dataset_features import keep_answers, keep_features, pairs
from trainer.described import to_json
from trainer.encoding import Encoding, early_layers, encode
from trainer.experts import ExpertModule
from trainer.measuring import HELD_OUT
from trainer.pipeline.plans import Plan
from trainer.progress import Progress, silent
from trainer.runs import Moment
from trainer.settings import ExpertSettings, key
from trainer.tasks import refuse_other_kind
from trainer.training import Split, TrainingState, outputs, train


@dataclass(frozen=True, kw_only=True)
class AddedTask:
    """What came of `add_task`.

    Attributes:
        created: False when these rows with these settings were an expert already.
        rows: row counts by split; metrics: by split, then by metric.
        findings: what a person should know about the rows.
    """

    expert: Expert
    created: bool
    rows: dict[str, int]
    metrics: dict[str, dict[str, float]]
    findings: tuple[str, ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "task": self.expert.task,
            "kind": self.expert.kind,
            "expert": self.expert.name,
            "created": self.created,
            "parameters": self.expert.parameters,
            "sha256": self.expert.sha256,
            "rows": self.rows,
            "metrics": self.metrics,
            "findings": list(self.findings),
            "seconds": self.seconds,
        }


def add_task(
    registry: Registry,
    data: str | Path,
    *,
    name: str | None = None,
    kind: str | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    validation: str | Path | None = None,
    test: str | Path | None = None,
    base_model: str | BaseModel | None = None,
    settings: ExpertSettings | None = None,
    device: str = "auto",
    on_progress: Progress = silent,
) -> AddedTask:
    """Read and check rows, train an expert on them, freeze it as the task's next version.

    Args:
        data: CSV, TSV or JSON Lines file; `validation` and `test`: files of those rows, otherwise set aside
            from `data`.
        name: of the task; by default the file's name.
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


def add_rows(
    registry: Registry,
    task: str,
    rows: TaskData,
    *,
    base_model: str | BaseModel | None = None,
    settings: ExpertSettings | None = None,
    device: str = "auto",
    on_progress: Progress = silent,
    finish: Callable[[AddedTask], object] = lambda added: None,
    guard: Callable[[], object] = lambda: None,
) -> AddedTask:
    """`add_task` from rows that were read and checked before.

    A run that was killed goes on where its last checkpoint left it when it is called again with the same rows
    and settings.

    Args:
        finish: called in the transaction that publishes the expert; when it raises, nothing is published.
        guard: called before a checkpoint is written; raises when the work is somebody else's by now.
    """
    started = Moment.now()
    refuse_other_kind(registry, check_task(task), rows.kind)
    if not isinstance(base_model, BaseModel):
        base_model = BaseModel.load(base_model, device=device, on_progress=on_progress)
    plan = Plan.settle(task, rows, base_model, settings or ExpertSettings())
    existing = registry.find_expert(task=task, dataset_sha256=plan.digest, settings_key=plan.key)
    if existing is not None:
        known = _nothing_to_do(registry, existing, rows, started)
        finish(known)
        return known
    module = ExpertModule(base_model, plan.architecture, plan.training.seed)
    encoding = encode(
        base_model,
        pairs(rows.rows),
        layers=early_layers(plan.architecture.first_layer),
        max_length=plan.architecture.max_length,
        resume_at=plan.architecture.first_layer,
        on_progress=on_progress,
    )
    folder = registry.cache / "checkpoints"
    checkpoint = Checkpoint(folder, key(run=plan.key, task=task, rows=plan.digest), guard)
    state = _train(module, encoding, plan, checkpoint, on_progress)
    measured, answers = _measure(module, encoding, rows)
    keep_features(registry, plan.features, encoding.features)
    with registry.transaction():
        expert = _publish(registry, plan, module, state, measured, started)
        keep_answers(registry, expert, plan.digest, answers)
        added = AddedTask(
            expert=expert,
            created=True,
            rows=rows.counts(),
            metrics=by_split(measured),
            findings=(*rows.findings, *_cut_finding(encoding)),
            seconds=started.elapsed(),
        )
        finish(added)
    checkpoint.remove()
    return added


def by_split(measured: Sequence[EvaluationFacts] | Sequence[Evaluation]) -> dict[str, dict[str, float]]:
    """`{split: {metric: value}}`."""
    found: dict[str, dict[str, float]] = {}
    for one in measured:
        found.setdefault(one.split, {})[one.metric] = one.value
    return found


def _nothing_to_do(registry: Registry, expert: Expert, rows: TaskData, started: Moment) -> AddedTask:
    oldest_first = registry.evaluations(expert.name)[::-1]
    return AddedTask(
        expert=expert,
        created=False,
        rows=rows.counts(),
        metrics=by_split([one for one in oldest_first if one.split in HELD_OUT]),
        findings=rows.findings,
        seconds=started.elapsed(),
    )


def _train(
    module: ExpertModule, encoding: Encoding, plan: Plan, checkpoint: Checkpoint, on_progress: Progress
) -> TrainingState:
    return train(
        module,
        encoding,
        _split(module, plan.rows, "train"),
        _split(module, plan.rows, "validation"),
        plan.training,
        resume=lambda optimizer: checkpoint.load(module, optimizer),
        save=lambda optimizer, state: checkpoint.save(module, optimizer, state),
        on_progress=on_progress,
    )


def _publish(
    registry: Registry,
    plan: Plan,
    module: ExpertModule,
    state: TrainingState,
    measured: Sequence[EvaluationFacts],
    started: Moment,
) -> Expert:
    """Freeze the expert, after what it came from."""
    fingerprint, rows = plan.base.record.fingerprint, plan.rows
    registry.add_base_model(plan.base.record)
    dataset = registry.add_dataset(
        content=plan.content,
        task=plan.task,
        kind=rows.kind,
        labels=rows.labels,
        rows=rows.counts(),
        columns=rows.columns,
        source=Path(rows.source).name,
        findings=rows.findings,
    )
    training = asdict(plan.training)
    return registry.add_expert(
        task=plan.task,
        dataset=dataset.version,
        base_model=fingerprint,
        adapter=plan.architecture.adapter,
        config={"architecture": to_json(plan.architecture), "training": training},
        labels=rows.labels,
        parameters=module.parameter_count,
        payload=module.pack({"task": plan.task, "base_model": fingerprint, "dataset": plan.digest}),
        settings_key=plan.key,
        run=started.run(kind="expert", settings=training, seed=plan.training.seed, history=state.history),
        evaluations=measured,
    )


def _split(module: ExpertModule, rows: TaskData, name: str) -> Split:
    places = [place for place, row in enumerate(rows.rows) if row.split == name]
    return Split(places, module.kind.targets([rows.rows[place] for place in places], rows.labels))


def _measure(
    module: ExpertModule, encoding: Encoding, rows: TaskData
) -> tuple[list[EvaluationFacts], list[str | None]]:
    """Scores on the held-out splits, and the answer to each held-out row (None elsewhere)."""
    measured = []
    answers: list[str | None] = [None] * len(rows.rows)
    for split in HELD_OUT:
        held_out = _split(module, rows, split)
        found = outputs(module, encoding, held_out.rows)
        for place, answer in zip(held_out.rows, module.kind.answers(found, rows.labels), strict=True):
            answers[place] = answer.label
        for metric, value in module.kind.score(found, held_out.targets).items():
            measured.append(
                EvaluationFacts(metric=metric, split=split, value=value, examples=len(held_out.rows))
            )
    return measured, answers


def _cut_finding(encoding: Encoding) -> tuple[str, ...]:
    if not encoding.cut:
        return ()
    return (
        f"{encoding.cut:,} of {len(encoding.tokens):,} texts are longer than the limit and were cut; "
        "a larger --max-length reads more of them",
    )
