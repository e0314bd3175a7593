"""Classification: one label out of a fixed set."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from trainer.data import Row, check_labels
from trainer.tasks import Answer

if TYPE_CHECKING:  # Reading a file needs no torch, so only what computes imports it.
    from torch import Tensor, nn

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


def head(inputs: int, labels: Sequence[str]) -> "nn.Module":
    """One logit a label, all zero."""
    from torch import nn

    made = nn.Linear(inputs, len(labels))
    nn.init.zeros_(made.weight)
    nn.init.zeros_(made.bias)
    return made


def targets(rows: Sequence[Row], labels: Sequence[str]) -> "Tensor":
    """Index of each row's label, `(rows,)`."""
    import torch

    index = {label: place for place, label in enumerate(labels)}
    return torch.tensor([index[row.values[TARGET]] for row in rows])


def loss(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """Cross-entropy, averaged over the batch."""
    from torch.nn import functional

    return functional.cross_entropy(outputs, targets)


def score(outputs: "Tensor", targets: "Tensor") -> dict[str, float]:
    """Share of rows whose best label is the right one."""
    return {METRIC: (outputs.argmax(-1) == targets).double().mean().item()}


def answers(outputs: "Tensor", labels: Sequence[str]) -> list[Answer]:
    """The best label and the probability of each."""
    rows = outputs.softmax(-1).tolist()
    best = outputs.argmax(-1).tolist()
    return [
        Answer(labels[place], row[place], dict(zip(labels, row, strict=True)))
        for place, row in zip(best, rows, strict=True)
    ]
