"""What was made becomes a frozen expert: measured, put on record, published."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry import Evaluation, Expert, Registry
from registry.canonical import canonical_json
from registry.records import EvaluationFacts
from trainer.answering import answered
from trainer.data import TaskData
from trainer.dataset_features import features_of, inputs, keep_answers, keep_features, known_features
from trainer.described import to_json
from trainer.encoding import Encoding, early_layers, encode
from trainer.experts import ExpertModule
from trainer.measuring import HELD_OUT
from trainer.pipeline.plans import Plan
from trainer.progress import Progress, silent
from trainer.runs import Moment
from trainer.state_cache import StateCache
from trainer.trainee import Split


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


@dataclass(frozen=True, kw_only=True)
class Made:
    """An expert that is ready to be frozen.

    Attributes:
        way: how it was made, as its record says: `training`, `adapting`, `solving`.
        settings: all that this depended on besides the rows.
        history: what was measured after each epoch, where there were some.
        combined_from: the weight of each expert that it was combined from, by name.
    """

    plan: Plan
    module: ExpertModule
    encoding: Encoding
    way: str
    settings: Mapping[str, Any]
    seed: int = 0
    history: Sequence[dict[str, Any]] = ()
    combined_from: Mapping[str, float] = field(default_factory=dict)

    def publish(
        self,
        registry: Registry,
        started: Moment,
        publish: Publish,
        findings: Sequence[str] = (),
        on_progress: Progress = silent,
    ) -> AddedTask:
        """Measure and freeze the expert, and call `publish` in the same transaction; when somebody else has
        frozen it meanwhile, it is theirs."""
        plan, encoding = self.plan, self.encoding
        measured, given = _measure(self.module, encoding, plan.rows, on_progress)
        keep_features(registry, plan.features, encoding.features)
        with registry.transaction():
            there = plan.there(registry)
            if there is not None:
                added = nothing_to_do(registry, there, plan.rows, started)
            else:
                expert = self._freeze(registry, measured, started)
                keep_answers(registry, expert, plan.digest, given)
                added = AddedTask(
                    expert=expert,
                    created=True,
                    rows=plan.rows.counts(),
                    metrics=by_split(measured),
                    findings=(*plan.rows.findings, *_cut_finding(encoding), *encoding.remarks, *findings),
                    seconds=started.elapsed(),
                )
            publish(added)
        return added

    def _freeze(self, registry: Registry, measured: Sequence[EvaluationFacts], started: Moment) -> Expert:
        """Freeze the expert, after what it came from."""
        plan, rows = self.plan, self.plan.rows
        fingerprint = plan.base.record.fingerprint
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
        settings = dict(self.settings)
        return registry.add_expert(
            task=plan.task,
            dataset=dataset.version,
            base_model=fingerprint,
            adapter=plan.architecture.adapter,
            config={"architecture": to_json(plan.architecture), self.way: settings},
            labels=rows.labels,
            parameters=self.module.parameter_count,
            payload=self.module.pack({"task": plan.task, "base_model": fingerprint, "dataset": plan.digest}),
            settings_key=plan.key,
            combined_from=self.combined_from,
            run=started.run(kind="expert", settings=settings, seed=self.seed, history=list(self.history)),
            evaluations=measured,
        )


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


def _measure(
    module: ExpertModule, encoding: Encoding, rows: TaskData, on_progress: Progress
) -> tuple[list[EvaluationFacts], list[str | None]]:
    """Scores on the held-out splits, and the answer to each held-out row (None elsewhere)."""
    measured = []
    given: list[str | None] = [None] * len(rows.rows)
    for split in HELD_OUT:
        held_out = split_of(module, rows, split)
        own, metrics = answered(module, encoding, held_out.rows, held_out.data, on_progress)
        for place, answer in zip(held_out.rows, own, strict=True):
            given[place] = answer
        for metric, value in metrics.items():
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


def encode_rows(registry: Registry, plan: Plan, on_progress: Progress) -> Encoding:
    """The rows of a plan as the base model sees them: what is kept is read, the rest computed."""
    tokens, features = plan.read(), known_features(registry, plan.features)
    if tokens is not None and features is None:
        # Routers see no target: what they read comes from the texts alone.
        features = features_of(registry, lambda: plan.base, plan.features, plan.rows, on_progress)
    return encode(
        plan.base,
        inputs(plan.rows.rows),
        layers=early_layers(plan.architecture.first_layer),
        max_length=plan.architecture.max_length,
        resume_at=plan.architecture.first_layer,
        cache=StateCache.of(registry),
        dataset_sha256=plan.digest,
        features=features,
        tokens=tokens,
        form="" if tokens is None else canonical_json(plan.architecture.task_config),
        on_progress=on_progress,
    )


def split_of(module: ExpertModule, rows: TaskData, name: str) -> Split:
    """The rows of one split, as a module reads them."""
    places = [place for place, row in enumerate(rows.rows) if row.split == name]
    return Split.of(module, rows.rows, places)
