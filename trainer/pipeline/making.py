"""One expert in the making: from settled plan to frozen expert."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from registry import Evaluation, Expert, Registry
from registry.records import EvaluationFacts
from trainer.checkpoints import Checkpoint
from trainer.data import TaskData
from trainer.dataset_features import inputs, keep_answers, keep_features, known_features
from trainer.described import to_json
from trainer.encoding import Encoding, early_layers, encode
from trainer.experts import ExpertModule
from trainer.measuring import HELD_OUT
from trainer.pipeline.plans import Plan
from trainer.progress import Progress
from trainer.runs import Moment
from trainer.settings import key
from trainer.state_cache import StateCache
from trainer.trainee import Split, Trainee, answers, outputs


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


Publish = Callable[[AddedTask], object]
"""Called in the transaction that publishes an expert; when it raises, nothing is published."""


class Making:
    """An expert that is being made: what it trains on, where it stands, and how it becomes frozen.

    Args:
        guard: called before a checkpoint is written; raises when the work is somebody else's by now.
    """

    def __init__(
        self, registry: Registry, plan: Plan, guard: Callable[[], object], on_progress: Progress
    ) -> None:
        self._registry = registry
        self._plan = plan
        self._started = Moment.now()
        folder = registry.cache / "checkpoints"
        self._checkpoint = Checkpoint(folder, key(run=plan.key, task=plan.task, rows=plan.digest), guard)
        module = ExpertModule(plan.base, plan.architecture, plan.training.seed)
        module.kind.prepare(module.head, plan.rows.split("train"))
        self.trainee = Trainee(
            module,
            _encode(registry, plan, on_progress),
            _split(module, plan.rows, "train"),
            _split(module, plan.rows, "validation"),
            plan.training,
            resume=lambda optimizer: self._checkpoint.load(module, optimizer),
            save=lambda optimizer, state: self._checkpoint.save(module, optimizer, state),
        )

    def publish(self, publish: Publish) -> AddedTask:
        """Measure and freeze the expert, once it is trained."""
        registry, plan, trainee = self._registry, self._plan, self.trainee
        measured, given = _measure(trainee.module, trainee.encoding, plan.rows)
        keep_features(registry, plan.features, trainee.encoding.features)
        with registry.transaction():
            expert = _freeze(registry, plan, trainee, measured, self._started)
            keep_answers(registry, expert, plan.digest, given)
            added = AddedTask(
                expert=expert,
                created=True,
                rows=plan.rows.counts(),
                metrics=by_split(measured),
                findings=(*plan.rows.findings, *_cut_finding(trainee.encoding), *trainee.encoding.remarks),
                seconds=self._started.elapsed(),
            )
            publish(added)
        self._checkpoint.remove()
        return added


def by_split(measured: Sequence[EvaluationFacts] | Sequence[Evaluation]) -> dict[str, dict[str, float]]:
    """`{split: {metric: value}}`."""
    found: dict[str, dict[str, float]] = {}
    for one in measured:
        found.setdefault(one.split, {})[one.metric] = one.value
    return found


def nothing_to_do(registry: Registry, expert: Expert, rows: TaskData, started: Moment) -> AddedTask:
    """These rows with these settings are an expert already."""
    oldest_first = registry.evaluations(expert.name)[::-1]
    return AddedTask(
        expert=expert,
        created=False,
        rows=rows.counts(),
        metrics=by_split([one for one in oldest_first if one.split in HELD_OUT]),
        findings=rows.findings,
        seconds=started.elapsed(),
    )


def _encode(registry: Registry, plan: Plan, on_progress: Progress) -> Encoding:
    return encode(
        plan.base,
        inputs(plan.rows.rows),
        layers=early_layers(plan.architecture.first_layer),
        max_length=plan.architecture.max_length,
        resume_at=plan.architecture.first_layer,
        cache=StateCache.of(registry),
        dataset_sha256=plan.digest,
        features=known_features(registry, plan.features),
        on_progress=on_progress,
    )


def _freeze(
    registry: Registry,
    plan: Plan,
    trainee: Trainee,
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
        parameters=trainee.module.parameter_count,
        payload=trainee.module.pack({"task": plan.task, "base_model": fingerprint, "dataset": plan.digest}),
        settings_key=plan.key,
        run=started.run(
            kind="expert", settings=training, seed=plan.training.seed, history=trainee.state.history
        ),
        evaluations=measured,
    )


def _split(module: ExpertModule, rows: TaskData, name: str) -> Split:
    places = [place for place, row in enumerate(rows.rows) if row.split == name]
    return Split.of(module, rows.rows, places)


def _measure(
    module: ExpertModule, encoding: Encoding, rows: TaskData
) -> tuple[list[EvaluationFacts], list[str | None]]:
    """Scores on the held-out splits, and the answer to each held-out row (None elsewhere)."""
    measured = []
    given: list[str | None] = [None] * len(rows.rows)
    for split in HELD_OUT:
        held_out = _split(module, rows, split)
        own = answers(module, outputs(module, encoding, held_out.rows), held_out.data)
        for place, answer in zip(held_out.rows, own, strict=True):
            given[place] = answer
        for metric, value in module.kind.metrics(own, held_out.data).items():
            measured.append(
                EvaluationFacts(metric=metric, split=split, value=value, examples=len(held_out.rows))
            )
    return measured, given


def _cut_finding(encoding: Encoding) -> tuple[str, ...]:
    if not encoding.cut:
        return ()
    return (
        f"{encoding.cut:,} of {len(encoding.tokens):,} texts are longer than the limit and were cut; "
        "a larger --max-length reads more of them",
    )
