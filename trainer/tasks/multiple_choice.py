"""Multiple choice: each choice is read by itself, after the text, and the one with the highest score is the
answer."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trainer.data import CHOICES as ROLES
from trainer.data import Row, quoted, refusal
from trainer.inputs import Input
from trainer.tasks import Answer, configure_nothing, prepare_nothing, settle_nothing, shares_of

if TYPE_CHECKING:
    from torch import Tensor, nn

REQUIRED = ("text", *ROLES[:2], "label")
OPTIONAL = ("text_pair", *ROLES[2:])
TARGET = "label"
METRIC = "accuracy"
CHOICES = True
WRITES = False

configure, prepare, settle = configure_nothing, prepare_nothing, settle_nothing


def recognises(columns: Mapping[str, str], rows: Sequence[Row]) -> bool:
    """Whether there is a text, a label, and a choice at least."""
    roles = set(columns)
    return {"text", TARGET} <= roles <= {*REQUIRED, *OPTIONAL, "split"} and bool(roles & {*ROLES})


def check(rows: Sequence[Row]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """No labels; a remark when choices of one row are equal.

    Raises:
        DataRefusedError: a label that is not the number of a choice.
    """
    equal = 0
    for row in rows:
        choices, label = row.choices, row.values[TARGET]
        if not label.strip():
            raise refusal(row.source, row.line, "the label is empty")
        if label not in map(str, range(len(choices))):
            raise refusal(
                row.source,
                row.line,
                f"the label {quoted(label)} is the number of no choice: write 0 for choice_0, and so on to "
                f"{len(choices) - 1}",
            )
        equal += len({*choices}) < len(choices)
    said = f"{equal:,} row{' has' if equal == 1 else 's have'} the same choice twice"
    return (), (said,) if equal else ()


def labels_of(row: Row) -> tuple[str, ...]:
    """None: what can be chosen differs from row to row."""
    return ()


def head(inputs: int, labels: Sequence[str]) -> "nn.Module":
    """One number a choice, zero."""
    from torch import nn

    made = nn.Linear(inputs, 1, bias=False)
    nn.init.zeros_(made.weight)
    return made


def targets(head: "nn.Module", rows: Sequence[Row], labels: Sequence[str]) -> "Tensor":
    """Which choice is right, `(rows,)`."""
    import torch

    return torch.tensor([int(row.values[TARGET]) for row in rows])


def loss(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """Cross-entropy over the choices of each row, averaged over the batch."""
    from torch.nn import functional

    return functional.cross_entropy(outputs, targets)


def answers(
    head: "nn.Module", outputs: "Tensor", labels: Sequence[str], inputs: Sequence[Input]
) -> list[Answer]:
    """The best choice, and the probability of each; equal choices share theirs."""
    best = outputs.argmax(-1).tolist()
    found = []
    for asked, place, shares in zip(inputs, best, outputs.softmax(-1).tolist(), strict=True):
        by_choice = dict.fromkeys(asked.choices, 0.0)
        for choice, share in zip(asked.choices, shares[: len(asked.choices)], strict=True):
            by_choice[choice] += share
        label = asked.choices[place]
        found.append(Answer(label, by_choice[label], by_choice, index=place))
    return found


def combine(answers: Sequence[Answer], weights: Sequence[float], asked: Input) -> Answer:
    """The choice with the largest weighted probability."""
    shares = shares_of(answers, weights)
    best = max(shares, key=lambda choice: shares[choice])
    return Answer(best, shares[best], shares, index=asked.choices.index(best))


def metrics(answers: Sequence[str], rows: Sequence[Row]) -> dict[str, float]:
    """Share of rows whose answer is the right choice."""
    return {METRIC: sum(credits(answers, rows)) / len(rows)}


def credits(answers: Sequence[str], rows: Sequence[Row]) -> list[float]:
    """1 where the answer is the right choice."""
    return [
        float(answer == row.choices[int(row.values[TARGET])])
        for answer, row in zip(answers, rows, strict=True)
    ]
