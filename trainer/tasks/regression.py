"""Regression: a number for each text."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING

from trainer.data import Row, measures, names_amounts, number, quoted, refusal
from trainer.inputs import Input
from trainer.tasks import Answer, configure_nothing, settle_nothing

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

REQUIRED = ("text", "label")
OPTIONAL = ("text_pair",)
TARGET = "label"
METRIC = "spearman"
CHOICES = False
WRITES = False

configure, settle = configure_nothing, settle_nothing


def recognises(columns: Mapping[str, str], rows: Sequence[Row]) -> bool:
    """Whether the labels of texts are amounts: numbers with fractions, or in a column named as one of
    amounts."""
    if not set(REQUIRED) <= set(columns) <= {*REQUIRED, *OPTIONAL, "split"}:
        return False
    return measures((row.values[TARGET] for row in rows), named=names_amounts(columns[TARGET]))


def check(rows: Sequence[Row]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """No labels; says how else the labels could have been taken.

    Raises:
        DataRefusedError: a label that is no finite decimal number, or the same number everywhere.
    """
    for row in rows:
        label = row.values[TARGET]
        if not label.strip():
            raise refusal(row.source, row.line, "the label is empty")
        if number(label) is None:
            raise refusal(
                row.source,
                row.line,
                f"the label {quoted(label)} is no finite decimal number, which regression needs: write one "
                "such as 3.5, or add the task with --kind classification",
            )
    if len({_value(row) for row in rows}) == 1:
        said = f"every row has the number {quoted(rows[0].values[TARGET])}; at least two are needed"
        raise refusal(rows[0].source, None, said)
    return (), ("the labels are taken as amounts; --kind classification takes them as names",)


def labels_of(row: Row) -> tuple[str, ...]:
    """None: any number may be the answer."""
    return ()


def head(inputs: int, labels: Sequence[str]) -> "nn.Module":
    """One number, zero, in units of `deviation` from `mean`: those of the training rows."""
    import torch
    from torch import nn

    made = nn.Linear(inputs, 1)
    nn.init.zeros_(made.weight)
    nn.init.zeros_(made.bias)
    made.register_buffer("mean", torch.tensor(0.0))
    made.register_buffer("deviation", torch.tensor(1.0))
    return made


def prepare(head: "nn.Module", rows: Sequence[Row]) -> None:
    """Take mean and standard deviation from the training rows."""
    import torch

    values = torch.tensor([_value(row) for row in rows], dtype=torch.float64)
    mean, deviation = head.get_buffer("mean"), head.get_buffer("deviation")
    mean.fill_(values.mean().item())
    deviation.fill_(values.std(correction=0).item() or 1.0)


def targets(head: "nn.Module", rows: Sequence[Row], labels: Sequence[str]) -> "Tensor":
    """The number of each row in the head's units, `(rows,)`."""
    import torch

    values = torch.tensor([_value(row) for row in rows], dtype=torch.float64)
    return ((values - _float(head, "mean")) / _float(head, "deviation")).float()


def loss(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """Squared distance, averaged over the batch."""
    from torch.nn import functional

    return functional.mse_loss(outputs[:, 0], targets)


def aims(targets: "Tensor", outputs: int) -> "Tensor":
    """The number itself."""
    return targets[:, None]


def answers(
    head: "nn.Module", outputs: "Tensor", labels: Sequence[str], inputs: Sequence[Input]
) -> list[Answer]:
    """The number, and its text with six digits."""
    values = (outputs[:, 0].double() * _float(head, "deviation") + _float(head, "mean")).tolist()
    return [Answer(f"{value:.6g}", value=value) for value in values]


def combine(answers: Sequence[Answer], weights: Sequence[float], asked: Input) -> Answer:
    """The weighted mean of the numbers."""
    values = [answer.value or 0.0 for answer in answers]
    value = sum(weight * one for weight, one in zip(weights, values, strict=True))
    return Answer(f"{value:.6g}", value=value)


def metrics(answers: Sequence[str], rows: Sequence[Row]) -> dict[str, float]:
    """Correlation of ranks and of numbers (0 where one side is constant), and root of the mean squared
    error."""
    import numpy as np

    right = np.array([_value(row) for row in rows])
    # Experts of other kinds say texts, which tell these rows no more apart than their mean does.
    values = [number(answer) for answer in answers]
    said = np.array([right.mean() if value is None else value for value in values])
    return {
        METRIC: _correlation(_ranks(said), _ranks(right)),
        "pearson": _correlation(said, right),
        "rmse": sqrt(float(((said - right) ** 2).mean())),
    }


def credits(answers: Sequence[str], rows: Sequence[Row]) -> list[float]:
    """1 for the right number, less its distance as a share of the range of these rows' numbers, 0 at least;
    0 for what is no number."""
    right = [_value(row) for row in rows]
    extent = (max(right) - min(right) or 1.0) if right else 1.0
    values = [number(answer) for answer in answers]
    return [
        0.0 if said is None else max(0.0, 1 - abs(said - value) / extent)
        for said, value in zip(values, right, strict=True)
    ]


def _value(row: Row) -> float:
    return float(row.values[TARGET])


def _float(head: "nn.Module", name: str) -> float:
    return float(head.get_buffer(name))


def _ranks(values: "np.ndarray") -> "np.ndarray":
    """The rank of each value; equal ones share the mean of theirs."""
    import numpy as np

    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    return (last - (counts - 1) / 2)[places]


def _correlation(one: "np.ndarray", other: "np.ndarray") -> float:
    from_mean = one - one.mean(), other - other.mean()
    scale = sqrt(float((from_mean[0] ** 2).sum() * (from_mean[1] ** 2).sum()))
    return float((from_mean[0] * from_mean[1]).sum()) / scale if scale > 0 else 0.0
