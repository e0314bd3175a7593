"""The answer to one text, and how it came about."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


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

    def __repr__(self) -> str:
        return repr(dict(self))


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The answer to one text, and how it came about.

    Attributes:
        expert: the expert that answered, such as `sst2@1`; task: its task.
        label: its answer; probability: how sure it is; probabilities: of every label.
        weights: the router's weight of each task, 1 for a forced expert.
        margin: largest weight minus the second largest.
        generation: such as `router@3`; None when the expert was forced.
        cut: whether the text was longer than the limit, so that its end was not read.
    """

    text: str
    task: str
    expert: str
    label: str
    probability: float
    probabilities: dict[str, float]
    weights: Mapping[str, float]
    margin: float
    generation: str | None
    cut: bool


def largest(weights: Mapping[str, float], count: int) -> dict[str, float]:
    """The largest weights, from the largest; equal ones by name."""
    found: Sequence[tuple[str, float]] = sorted(weights.items(), key=lambda one: (-one[1], one[0]))
    return dict(found[:count])
