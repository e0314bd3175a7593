"""`evaluate`: run the real thing over held-out rows, or over rows from a file, and score it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from registry import Expert, Registry
from registry.records import EvaluationFacts
from trainer.answering import answered
from trainer.data import Given, Row, TaskData
from trainer.dataset_features import inputs, rows_of
from trainer.encoding import encode
from trainer.measuring import check_split, measures_expert, read_trial
from trainer.moe import MoE
from trainer.progress import Progress, silent
from trainer.prompts import read_rows
from trainer.tally import Tally, facts, overall
from trainer.thawing import fitting_base, thawed


@dataclass(frozen=True, kw_only=True)
class Report:
    """Scores of one expert or one generation.

    Attributes:
        subject: such as `sst2@1` or `router@3`.
        split: of its own rows; None: other rows.
        per_task, confusion: of a generation, as in `RetrainedRouter`.
    """

    subject: str
    metrics: dict[str, float]
    split: str | None
    examples: int
    per_task: dict[str, dict[str, float]] | None = None
    confusion: dict[str, dict[str, int]] | None = None

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)


def evaluate(
    registry: Registry,
    ref: str | None = None,
    *,
    split: str = "test",
    data: Given | TaskData | None = None,
    device: str = "auto",
    on_progress: Progress = silent,
    finish: Callable[[Report], object] = lambda report: None,
) -> Report:
    """Measure an expert (`sst2@1`) or a generation (`router@3`; by default the one in production). What was
    measured of its own rows is put on record.

    Args:
        split: `validation` or `test` rows of the dataset each expert was trained on.
        data: labelled rows of the expert's task to use instead, or their file; experts only. Nothing is put
            on record.
        finish: called in the transaction that puts the numbers on record; when it raises, nothing is.

    Raises:
        NotFoundError: no such expert or generation.
        DataRefusedError: the rows cannot be taken, or hold labels that the expert does not know.
    """
    check_split(split)
    if measures_expert(ref, data):
        report, measured = _expert(registry, registry.expert(ref), split, data, device, on_progress)
    else:
        report, measured = _generation(registry, ref, split, device, on_progress)
    with registry.transaction():
        if data is None:
            registry.add_evaluations(report.subject, measured)
        finish(report)
    return report


def _expert(
    registry: Registry,
    expert: Expert,
    split: str,
    data: Given | TaskData | None,
    device: str,
    on_progress: Progress,
) -> tuple[Report, list[EvaluationFacts]]:
    base = fitting_base(registry, expert.base_model, None, device, on_progress)
    module = thawed(registry, base, expert)
    rows = _held_out(registry, expert, split) if data is None else _trial(data, expert)
    encoding = encode(
        base,
        inputs(rows),
        layers=module.architecture.head_layers if module.architecture.reads_features else (1,),
        max_length=module.architecture.max_length,
        tokens=read_rows(base, module.architecture, rows),
        on_progress=on_progress,
    )
    _, metrics = answered(module, encoding, range(len(rows)), rows, on_progress)
    measured = [
        EvaluationFacts(metric=name, split=split, value=value, examples=len(rows))
        for name, value in metrics.items()
    ]
    report = Report(
        subject=expert.name,
        metrics=metrics,
        split=split if data is None else None,
        examples=len(rows),
    )
    return report, measured


def _generation(
    registry: Registry, ref: str | None, split: str, device: str, on_progress: Progress
) -> tuple[Report, list[EvaluationFacts]]:
    moe = MoE.load(registry, ref, device=device, on_progress=on_progress)
    tallies = []
    for expert in moe.experts:
        rows = _held_out(registry, expert, split)
        # Each row is to be answered, whether an expert fits or not.
        routed = moe.predict(inputs(rows), top_k=None if moe.fit is None else 1, on_progress=on_progress)
        own = moe.predict(inputs(rows), expert=expert.name, on_progress=on_progress)
        tallies.append(
            Tally.of(
                expert.task,
                expert.kind,
                rows,
                [one.task or "" for one in routed],
                None if moe.fit is None else [one.reason is None for one in routed],
                [one.label or "" for one in routed],
                [one.label or "" for one in own],
            )
        )
    assert moe.generation is not None
    report = Report(
        subject=moe.generation.name,
        metrics=overall(tallies),
        split=split,
        examples=sum(one.rows for one in tallies),
        per_task={one.task: one.metrics() for one in tallies},
        confusion={one.task: one.sent for one in tallies},
    )
    return report, facts(tallies, split)


def _held_out(registry: Registry, expert: Expert, split: str) -> list[Row]:
    data = rows_of(registry, registry.dataset(expert.task, expert.dataset), expert.kind)
    return [row for row in data.rows if row.split == split]


def _trial(data: Given | TaskData, expert: Expert) -> list[Row]:
    return list((data if isinstance(data, TaskData) else read_trial(data, expert)).rows)
