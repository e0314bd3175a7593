"""How well a generation does: where it sends each task's rows, and how good what comes back is."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.records import Evaluation, EvaluationFacts
from trainer import kinds

ROUTING, ROUTED, ORACLE = "routing_accuracy", "routed_accuracy", "oracle_accuracy"
"""Over all tasks: the share of rows sent to their own expert, and the mean credit of what the chosen expert
answers, or their own. Where answers are right or wrong, that is the share answered rightly. All rows count,
also those that no expert fits."""
COVERAGE = "coverage"
"""The share of rows that an expert fits, so that they are answered unasked."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The rows of one task.

    Attributes:
        sent: how many rows went to each task; fitted: how many an expert fits, None where nobody can tell.
        metric: the score that counts for the task; routed: of what the experts answer that the router chose;
            oracle: of what the task's own expert does.
        credit: the mean credits of the same two, which are the same numbers where `metric` is accuracy.
    """

    task: str
    rows: int
    sent: dict[str, int]
    fitted: int | None
    metric: str
    routed: float
    oracle: float
    credit: tuple[float, float]

    @classmethod
    def of(
        cls,
        task: str,
        kind: str,
        rows: Sequence[Any],
        sent: Sequence[str],
        fits: Sequence[bool] | None,
        *answers: Sequence[str],
    ) -> "Tally":
        """From a task's rows, the task each was sent to, whether an expert fits, the answers given there, and
        those of its own expert."""
        module = kinds.load("tasks", kind)
        routed, oracle = (module.metrics(given, rows)[module.METRIC] for given in answers)
        first, second = (sum(module.credits(given, rows)) / len(rows) for given in answers)
        return cls(
            task=task,
            rows=len(rows),
            sent=dict(Counter(sent).most_common()),
            fitted=None if fits is None else sum(fits),
            metric=module.METRIC,
            routed=routed,
            oracle=oracle,
            credit=(first, second),
        )

    def metrics(self) -> dict[str, float]:
        """Routing accuracy, and the score that counts, routed and by the own expert: `routed_accuracy`,
        `routed_spearman` and so on; and the coverage."""
        return {
            ROUTING: self.sent.get(self.task, 0) / self.rows,
            f"routed_{self.metric}": self.routed,
            f"oracle_{self.metric}": self.oracle,
            **({} if self.fitted is None else {COVERAGE: self.fitted / self.rows}),
        }


def headlines(metrics: Mapping[str, float]) -> tuple[str, float | None, float | None]:
    """The score that counts for a task, routed and by its own expert, from its `metrics`."""
    name = next((one.removeprefix("routed_") for one in metrics if one.startswith("routed_")), "")
    return name, metrics.get(f"routed_{name}"), metrics.get(f"oracle_{name}")


def overall(tallies: Sequence[Tally]) -> dict[str, float]:
    """The three accuracies over all rows of all tasks together, and the coverage."""
    rows = sum(one.rows for one in tallies)
    each = [(one.rows, (one.metrics()[ROUTING], *one.credit)) for one in tallies]
    found = {
        name: sum(shares[place] * count for count, shares in each) / rows
        for place, name in enumerate((ROUTING, ROUTED, ORACLE))
    }
    fitted = [one.fitted for one in tallies if one.fitted is not None]
    return found | ({COVERAGE: sum(fitted) / rows} if fitted else {})


def facts(tallies: Sequence[Tally], split: str) -> list[EvaluationFacts]:
    """As numbers for the registry: one of each metric for every task, and one over all."""
    rows = sum(one.rows for one in tallies)
    total = [
        EvaluationFacts(metric=name, split=split, value=value, examples=rows)
        for name, value in overall(tallies).items()
    ]
    each = [
        EvaluationFacts(
            metric=name,
            split=split,
            value=value,
            examples=one.rows,
            dataset=one.task,
            details={"sent": one.sent} if name == ROUTING else None,
        )
        for one in tallies
        for name, value in one.metrics().items()
    ]
    return total + each


@dataclass(frozen=True)
class Scores:
    """The numbers on record of a generation: `metrics[split][metric]`, and by task for one split."""

    metrics: dict[str, dict[str, float]]
    per_task: dict[str, dict[str, float]]
    confusion: dict[str, dict[str, int]]


def scores(measured: Sequence[Evaluation] | Sequence[EvaluationFacts], split: str = "test") -> Scores:
    """Sort numbers on record, oldest first, so that the newest of each counts."""
    found = Scores({}, {}, {})
    for one in measured:
        task = one.task if isinstance(one, Evaluation) else one.dataset
        if task is None:
            found.metrics.setdefault(one.split, {})[one.metric] = one.value
        elif one.split == split:
            found.per_task.setdefault(task, {})[one.metric] = one.value
            if one.details is not None:
                found.confusion[task] = one.details["sent"]
    return found
