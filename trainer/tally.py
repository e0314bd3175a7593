"""How well a generation does: where it sends each task's rows, and whether what comes back is right."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from registry.records import Evaluation, EvaluationFacts

ROUTING, ROUTED, ORACLE = "routing_accuracy", "routed_accuracy", "oracle_accuracy"


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Counts over the rows of one task.

    Attributes:
        sent: how many rows went to each task.
        routed: rows answered rightly by the expert the router chose; oracle: by the task's own expert.
    """

    task: str
    rows: int
    sent: dict[str, int]
    routed: int
    oracle: int

    @classmethod
    def of(
        cls, task: str, truth: Sequence[str], sent: Sequence[str], routed: Sequence[str], own: Sequence[str]
    ) -> "Tally":
        """From each row's right answer, the task it was sent to, the answer given there, and its own expert's
        answer."""
        return cls(
            task=task,
            rows=len(truth),
            sent=dict(Counter(sent).most_common()),
            routed=sum(answer == right for answer, right in zip(routed, truth, strict=True)),
            oracle=sum(answer == right for answer, right in zip(own, truth, strict=True)),
        )

    def metrics(self) -> dict[str, float]:
        """The three accuracies."""
        right = {ROUTING: self.sent.get(self.task, 0), ROUTED: self.routed, ORACLE: self.oracle}
        return {name: count / self.rows for name, count in right.items()}


def overall(tallies: Sequence[Tally]) -> dict[str, float]:
    """The three accuracies over all rows of all tasks together."""
    rows = sum(one.rows for one in tallies)
    return {
        name: sum(one.metrics()[name] * one.rows for one in tallies) / rows
        for name in (ROUTING, ROUTED, ORACLE)
    }


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
