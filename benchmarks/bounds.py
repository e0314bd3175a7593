"""How much there is to be won: what could be told by who had seen rows of the task that is held out.

No score of strangeness may see them, so none is held to this. It tells a limit of the states from a limit of
the score: states that tell a task from all others once it is known, and not before, differ in directions that
nothing but the task itself points out.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks.known import Known, Task
from benchmarks.strangeness import Mahalanobis


class Seen:
    """Detectors of a held-out task from its first training rows, beside a pool of known tasks: the squared
    distance from the nearest known mean less that from the mean of the rows, by the covariance within the
    known tasks."""

    def __init__(self, pool: Sequence[Task]) -> None:
        self.pool = pool
        self.known = Mahalanobis(Known(pool, "train"), relative=False)
        self.rows = {split: self.known.white(Known(pool, split).states) for split in ("validation", "test")}
        self.near = {split: self._near(rows) for split, rows in self.rows.items()}

    def scores(self, task: Task, count: int) -> dict[str, Tensor]:
        """By rows, validation and test of the known tasks and the held-out one by its name: the larger, the
        likelier of the held-out task."""
        own = self.known.white(task.states["test"])
        mean = self.known.white(task.states["train"][:count]).mean(0)
        rows, near = {**self.rows, task.name: own}, {**self.near, task.name: self._near(own)}
        return {name: near[name] - (rows[name] - mean).square().sum(-1) for name in rows}

    def apart(self, task: Task) -> dict[str, str | float]:
        """The known task whose mean is nearest to that of a held-out one, how far it is in squares, and how
        much the squared distances of its own test rows from it vary: one standard deviation."""
        gaps = (self.known.points - self.known.white(task.states["train"]).mean(0)).square().sum(-1)
        slot = int(gaps.argmin())
        rows = self.known.white(self.pool[slot].states["test"]) - self.known.points[slot]
        return {
            "sibling": self.pool[slot].name,
            "apart": gaps[slot].item(),
            "spread": rows.square().sum(-1).std().item(),
        }

    def _near(self, rows: Tensor) -> Tensor:
        return torch.cdist(rows, self.known.points).amin(-1) ** 2
