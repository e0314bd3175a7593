"""Multi-label classification: any of a fixed set of labels, joined by `|`; at least one for each row."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

from trainer.data import SEPARATOR, Row, check_labels, quoted, refusal
from trainer.inputs import Input
from trainer.tasks import Answer, configure_nothing, prepare_nothing, shares_of

if TYPE_CHECKING:
    from torch import Tensor, nn

REQUIRED = ("text", "label")
OPTIONAL = ("text_pair",)
TARGET = "label"
METRIC = "micro_f1"
CHOICES = False
WRITES = False
THRESHOLDS = tuple(percent / 100 for percent in range(1, 100))

configure, prepare = configure_nothing, prepare_nothing


def recognises(columns: Mapping[str, str], rows: Sequence[Row]) -> bool:
    """Never: one label may hold a `|` by mistake, so a person has to say it."""
    return False


def check(rows: Sequence[Row]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sorted labels, and remarks on rare ones.

    Raises:
        DataRefusedError: as classification's, of the labels one by one; an empty label, or one named twice.
    """
    each = []
    for row in rows:
        own = row.values[TARGET].split(SEPARATOR)
        if not all(label.strip() for label in own):
            raise refusal(row.source, row.line, f"the label is empty in {quoted(row.values[TARGET])}")
        if len({*own}) < len(own):
            raise refusal(row.source, row.line, f"a label is named twice in {quoted(row.values[TARGET])}")
        each += [Row({TARGET: label}, row.split, row.line, row.source) for label in own]
    return check_labels(each, target=TARGET)


def labels_of(row: Row) -> tuple[str, ...]:
    """The labels, as written."""
    return tuple(row.values[TARGET].split(SEPARATOR))


def head(inputs: int, labels: Sequence[str]) -> "nn.Module":
    """One logit a label, all zero; `threshold`: the probability from which a label is answered."""
    import torch
    from torch import nn

    made = nn.Linear(inputs, len(labels))
    nn.init.zeros_(made.weight)
    nn.init.zeros_(made.bias)
    made.register_buffer("threshold", torch.tensor(0.5))
    return made


def settle(head: "nn.Module", outputs: "Tensor", rows: Sequence[Row], labels: Sequence[str]) -> None:
    """Choose the threshold under which the validation rows have the best micro F1; of equals the nearest to a
    half."""
    import torch

    right = targets(head, rows, labels).bool()
    probabilities = outputs.sigmoid()
    best = (-1.0, 0.0, 0.5)
    for threshold in THRESHOLDS:
        said = _said(probabilities, threshold)
        hits = 2 * (said & right).sum().item()
        score = hits / (said.sum() + right.sum()).item()
        best = max(best, (score, -abs(threshold - 0.5), threshold))
    head.threshold = torch.full_like(head.get_buffer("threshold"), best[2])


def targets(head: "nn.Module", rows: Sequence[Row], labels: Sequence[str]) -> "Tensor":
    """1 for each label that a row names, `(rows, labels)`."""
    import torch

    index = {label: place for place, label in enumerate(labels)}
    found = torch.zeros(len(rows), len(labels))
    for place, row in enumerate(rows):
        found[place, [index[label] for label in labels_of(row)]] = 1.0
    return found


def loss(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """Binary cross-entropy, averaged over batch and labels."""
    from torch.nn import functional

    return functional.binary_cross_entropy_with_logits(outputs, targets)


def aims(targets: "Tensor", outputs: int) -> "Tensor":
    """1 for the labels that a row names, -1 for the others."""
    return 2 * targets - 1


def answers(
    head: "nn.Module", outputs: "Tensor", labels: Sequence[str], inputs: Sequence[Input]
) -> list[Answer]:
    """The labels that reach the threshold, else the likeliest; the probability that it is just those, were
    labels independent; and that of each label by itself."""
    probabilities = outputs.sigmoid()
    said = _said(probabilities, float(head.get_buffer("threshold")))
    found = []
    for own, shares in zip(said.tolist(), probabilities.tolist(), strict=True):
        chosen = [label for label, there in zip(labels, own, strict=True) if there]
        sure = prod(share if there else 1 - share for share, there in zip(shares, own, strict=True))
        found.append(Answer(SEPARATOR.join(chosen), sure, dict(zip(labels, shares, strict=True))))
    return found


def combine(answers: Sequence[Answer], weights: Sequence[float], asked: Input) -> Answer:
    """The labels for which at least half of the weight speaks, else the likeliest; what several experts give
    a label is weighed."""
    shares = shares_of(answers, weights)
    said = dict.fromkeys(shares, 0.0)
    for answer, weight in zip(answers, weights, strict=True):
        for label in answer.label.split(SEPARATOR):
            said[label] += weight
    # Weights are rounded: half of them may be a bit less.
    chosen = [label for label, weight in said.items() if weight >= 0.5 - 1e-9]
    chosen = chosen or [max(shares, key=lambda label: shares[label])]
    sure = prod(share if label in chosen else 1 - share for label, share in shares.items())
    return Answer(SEPARATOR.join(chosen), sure, shares)


def metrics(answers: Sequence[str], rows: Sequence[Row]) -> dict[str, float]:
    """F1 over all labels of all rows, the share of rows whose labels are all right, and the mean F1 of the
    labels that occur."""
    pairs = _pairs(answers, rows)
    hits, said, right = (
        sum(map(len, each))
        for each in zip(*((said & right, said, right) for said, right in pairs), strict=True)
    )
    each = [
        _f1(
            sum(label in said and label in right for said, right in pairs),
            sum(label in said for said, _ in pairs),
            sum(label in right for _, right in pairs),
        )
        for label in set().union(*(said | right for said, right in pairs))
    ]
    return {
        METRIC: _f1(hits, said, right),
        "exact_match": sum(said == right for said, right in pairs) / len(pairs),
        "macro_f1": sum(sorted(each)) / len(each),
    }


def credits(answers: Sequence[str], rows: Sequence[Row]) -> list[float]:
    """Labels that are both said and right, as a share of those that are either."""
    return [len(said & right) / len(said | right) for said, right in _pairs(answers, rows)]


def _said(probabilities: "Tensor", threshold: float) -> "Tensor":
    """Which labels are answered, `(rows, labels)`; never none."""
    best = probabilities == probabilities.max(-1, keepdim=True).values
    return (probabilities >= threshold) | best


def _pairs(answers: Sequence[str], rows: Sequence[Row]) -> list[tuple[set[str], set[str]]]:
    return [
        ({*answer.split(SEPARATOR)}, {*labels_of(row)}) for answer, row in zip(answers, rows, strict=True)
    ]


def _f1(hits: int, said: int, right: int) -> float:
    return 2 * hits / (said + right)
