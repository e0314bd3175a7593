"""The rows of real tasks in memory, as routers and scores of strangeness are fitted on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from trainer.routers import Examples, Features
from trainer.sums import RidgeSums, TaskSums


@dataclass
class Task:
    """One task's rows by split: pooled states `(rows, layers, 2, hidden)` and texts."""

    name: str
    states: dict[str, Tensor]
    texts: dict[str, list[str]]

    @cached_property
    def sums(self) -> TaskSums:
        """Of its training rows."""
        return TaskSums.of(self.states["train"].flatten(1))

    def features(self, split: str) -> Features:
        """What routers read of a split."""
        return Features(self.states[split], self.texts[split])


class Known(Examples):
    """A split of the tasks of a pool."""

    def __init__(self, tasks: Sequence[Task], split: str) -> None:
        self.tasks, self.split = tasks, split
        counts = torch.tensor([len(task.texts[split]) for task in tasks])
        super().__init__(torch.arange(len(tasks)).repeat_interleave(counts))

    @cached_property
    def texts(self) -> list[str]:
        """The texts."""
        return [text for task in self.tasks for text in task.texts[self.split]]

    @cached_property
    def states(self) -> Tensor:
        """The states."""
        return torch.cat([task.states[self.split] for task in self.tasks])

    def sums(self) -> RidgeSums:
        """Each task is summed once, whatever pools it is in."""
        found = RidgeSums()
        for task in self.tasks:
            found.add(task.sums)
        return found

    @property
    def features(self) -> Features:
        """What routers read of them."""
        return Features(self.states, self.texts)
