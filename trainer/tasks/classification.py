"""Classification: one label out of a fixed set."""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.data import Row, check_labels
from trainer.tasks import Answer

REQUIRED = ("text", "label")
OPTIONAL = ("text_pair",)
TARGET = "label"
METRIC = "accuracy"


def recognises(columns: Collection[str]) -> bool:
    """Whether rows with these column roles are labelled texts."""
    return set(REQUIRED) <= set(columns) <= {*REQUIRED, *OPTIONAL, "split"}


def check(rows: Sequence[Row]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sorted labels, and remarks on rare ones.

    Raises:
        DataRefusedError: fewer than two labels, labels that look alike, a label that training never sees.
    """
    return check_labels(rows, target=TARGET)


class Head(nn.Linear):
    """One logit a label."""

    def __init__(self, inputs: int, labels: Sequence[str]) -> None:
        super().__init__(inputs, len(labels))
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)


def targets(rows: Sequence[Row], labels: Sequence[str]) -> Tensor:
    """Index of each row's label, `(rows,)`."""
    index = {label: place for place, label in enumerate(labels)}
    return torch.tensor([index[row.values[TARGET]] for row in rows])


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy, averaged over the batch."""
    return functional.cross_entropy(outputs, targets)


def score(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """Share of rows whose best label is the right one."""
    return {METRIC: (outputs.argmax(-1) == targets).double().mean().item()}


def answers(outputs: Tensor, labels: Sequence[str]) -> list[Answer]:
    """The best label and the probability of each."""
    rows = outputs.softmax(-1).tolist()
    best = outputs.argmax(-1).tolist()
    return [
        Answer(labels[place], row[place], dict(zip(labels, row, strict=True)))
        for place, row in zip(best, rows, strict=True)
    ]
