"""The answer to one text, and how it came about."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from registry import DamagedError, Expert
from trainer.base_model import BaseModel, Tokens
from trainer.inputs import Input
from trainer.tasks import Answer


class Weights(Mapping[str, float]):
    """The router's weight of each task: one short array and shared names, even with a thousand tasks, and a
    number only for who asks."""

    def __init__(self, tasks: Mapping[str, int], row: np.ndarray) -> None:
        self._tasks, self._row = tasks, row

    def __getitem__(self, task: str) -> float:
        return float(self._row[self._tasks[task]])

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    def candidates(self, count: int) -> dict[str, float]:
        """All that are as large as the `count`-th largest."""
        if count >= len(self._row):
            return dict(self)
        least = np.partition(self._row, -count)[-count]
        names = list(self._tasks)
        return {names[place]: float(self._row[place]) for place in np.flatnonzero(self._row >= least)}

    def __repr__(self) -> str:
        return repr(dict(self))


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The answer to one text, and how it came about.

    Attributes:
        expert: the expert that answered, such as `sst2@1`; task: its task.
        label: its answer, as text; value: as a number, of experts that give one; index: of the choice, where
            the text had some.
        probability: how sure it is, where it can tell; probabilities: of every label or choice.
        weights: the router's weight of each task, 1 for a forced expert.
        margin: largest weight minus the second largest.
        generation: such as `router@3`; None when the expert was forced.
        cut: whether the text was longer than the limit, so that its end was not read.
    """

    text: str
    task: str
    expert: str
    label: str
    probability: float | None
    probabilities: dict[str, float]
    weights: Mapping[str, float]
    margin: float
    generation: str | None
    cut: bool
    value: float | None = None
    index: int | None = None


@dataclass(frozen=True)
class Asked:
    """One input on its way: as given, and as the base model reads its sequences."""

    input: Input
    tokens: list[Tokens]

    @classmethod
    def read(cls, base: BaseModel, inputs: Sequence[Input], limit: int) -> "list[Asked]":
        """Inputs as the base model reads at most `limit` tokens of each sequence."""
        parts = [one.sequences for one in inputs]
        tokens = iter(base.tokenize([sequence for own in parts for sequence in own], limit))
        return [cls(one, list(islice(tokens, len(own)))) for one, own in zip(inputs, parts, strict=True)]

    @property
    def size(self) -> int:
        """Tokens of the longest sequence."""
        return max(len(one.ids) for one in self.tokens)


def counts_of(asked: Sequence[Asked]) -> list[int]:
    """How many sequences each input is."""
    return [len(one.tokens) for one in asked]


@dataclass(frozen=True)
class Decision:
    """Where a router sent the texts of a batch: by text the slot, the margin and all weights."""

    generation: str
    slots: list[int]
    margins: list[float]
    weights: list[Weights]


def told(
    asked: Sequence[Asked],
    experts: Sequence[Expert],
    answers: Sequence[Answer | DamagedError],
    decision: Decision | None,
) -> list[Prediction | DamagedError]:
    """What comes back for each text of a batch, from the answer of its expert; no decision: it was forced."""
    found: list[Prediction | DamagedError] = []
    for row, (one, member, answer) in enumerate(zip(asked, experts, answers, strict=True)):
        if isinstance(answer, DamagedError):
            found.append(DamagedError(f"{member.name} cannot answer: {answer}"))
            continue
        found.append(
            Prediction(
                text=one.input.text,
                task=member.task,
                expert=member.name,
                label=answer.label,
                probability=answer.probability,
                probabilities=answer.probabilities,
                weights={member.task: 1.0} if decision is None else decision.weights[row],
                margin=1.0 if decision is None else decision.margins[row],
                generation=None if decision is None else decision.generation,
                cut=any(sequence.cut for sequence in one.tokens),
                value=answer.value,
                index=answer.index,
            )
        )
    return found


def largest(weights: Mapping[str, float], count: int) -> dict[str, float]:
    """The largest weights, from the largest; equal ones by name."""
    found = weights.candidates(count) if isinstance(weights, Weights) else weights
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0]))[:count])
