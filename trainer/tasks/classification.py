"""Classification: one label out of a fixed set."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trainer.data import SEPARATOR, Row, check_labels, measures, names_amounts, number, quoted, refusal
from trainer.inputs import Input
from trainer.tasks import Answer, configure_nothing, prepare_nothing, settle_nothing, shares_of

if TYPE_CHECKING:  # Reading a file needs no torch, so only what computes imports it.
    from torch import Tensor, nn

REQUIRED = ("text", "label")
OPTIONAL = ("text_pair",)
TARGET = "label"
METRIC = "accuracy"
CHOICES = False
WRITES = False
MANY = 12
"""Different whole numbers as labels that are remarked on: they might be amounts."""

configure, prepare, settle = configure_nothing, prepare_nothing, settle_nothing


def recognises(columns: Mapping[str, str], rows: Sequence[Row]) -> bool:
    """Whether rows with these column roles are labelled texts, and the labels are names."""
    if not set(REQUIRED) <= set(columns) <= {*REQUIRED, *OPTIONAL, "split"}:
        return False
    return not measures((row.values[TARGET] for row in rows), named=names_amounts(columns[TARGET]))


def check(rows: Sequence[Row]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sorted labels, and remarks on rare ones.

    Raises:
        DataRefusedError: fewer than two labels, labels that look alike, a label that training never sees, or
            several labels in one.
    """
    for row in rows:
        if SEPARATOR in row.values[TARGET]:
            raise refusal(
                row.source,
                row.line,
                f"the label {quoted(row.values[TARGET])} holds '|', which joins several labels: add the task "
                "with --kind multi_label, or write another character",
            )
    labels, findings = check_labels(rows, target=TARGET)
    if len(labels) > MANY and all(number(label) is not None for label in labels):
        findings = (
            *findings,
            "the labels are numbers, taken as names; --kind regression takes them as amounts",
        )
    return labels, findings


def labels_of(row: Row) -> tuple[str, ...]:
    """The one label."""
    return (row.values[TARGET],)


def head(inputs: int, labels: Sequence[str]) -> "nn.Module":
    """One logit a label, all zero."""
    from torch import nn

    made = nn.Linear(inputs, len(labels))
    nn.init.zeros_(made.weight)
    nn.init.zeros_(made.bias)
    return made


def targets(head: "nn.Module", rows: Sequence[Row], labels: Sequence[str]) -> "Tensor":
    """Index of each row's label, `(rows,)`."""
    import torch

    index = {label: place for place, label in enumerate(labels)}
    return torch.tensor([index[row.values[TARGET]] for row in rows])


def loss(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """Cross-entropy, averaged over the batch."""
    from torch.nn import functional

    return functional.cross_entropy(outputs, targets)


def aims(targets: "Tensor", outputs: int) -> "Tensor":
    """1 for a row's own label, 0 for the others."""
    from torch.nn import functional

    return functional.one_hot(targets, outputs)


def answers(
    head: "nn.Module", outputs: "Tensor", labels: Sequence[str], inputs: Sequence[Input]
) -> list[Answer]:
    """The best label and the probability of each."""
    rows = outputs.softmax(-1).tolist()
    best = outputs.argmax(-1).tolist()
    return [
        Answer(labels[place], row[place], dict(zip(labels, row, strict=True)))
        for place, row in zip(best, rows, strict=True)
    ]


def combine(answers: Sequence[Answer], weights: Sequence[float], asked: Input) -> Answer:
    """The label with the largest weighted probability."""
    shares = shares_of(answers, weights)
    best = max(shares, key=lambda label: shares[label])
    return Answer(best, shares[best], shares)


def metrics(answers: Sequence[str], rows: Sequence[Row]) -> dict[str, float]:
    """Share of rows whose answer is their label."""
    return {METRIC: sum(credits(answers, rows)) / len(rows)}


def credits(answers: Sequence[str], rows: Sequence[Row]) -> list[float]:
    """1 where the answer is the label."""
    return [float(answer == row.values[TARGET]) for answer, row in zip(answers, rows, strict=True)]
