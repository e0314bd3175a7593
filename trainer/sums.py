"""Sums over the features of tasks, from which ridge regression is solved.

Every task weighs the same, however many rows it has: its Gram matrix and mean are divided by its row count.
Adding or removing a task adds or subtracts its own sums, and costs what that one task costs. Totals are held
as pairs of float64 numbers, the second of which takes the rounding of the first (Knuth's two-sum, about 106
bits): any chain of additions and removals gives what adding the same tasks once gives. Old rows are not
needed.

Gram matrices are symmetric, so only the part from the diagonal to the right is kept, in strips of rows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from registry.errors import InvalidSettingError

STRIP = 256
"""Rows of a strip: tall enough for fast products, and what lies left of the diagonal stays small."""

CHUNK = 1 << 15
"""Numbers added at a time, so that all steps of an addition find them in the processor's cache."""


def packed_size(width: int) -> int:
    """Numbers in the strips of a matrix `(width, width)`."""
    return sum(min(STRIP, width - start) * (width - start) for start in range(0, width, STRIP))


def strips(packed: Tensor, width: int) -> Iterator[tuple[int, Tensor]]:
    """First row of each strip, and the strip as a view: `(at most STRIP, width - first row)`."""
    at = 0
    for start in range(0, width, STRIP):
        rows, columns = min(STRIP, width - start), width - start
        yield start, packed[at : at + rows * columns].view(rows, columns)
        at += rows * columns


@dataclass(frozen=True)
class TaskSums:
    """One task's mean feature `(features,)` and the strips of its mean outer product, in float64."""

    mean: Tensor
    gram: Tensor

    @classmethod
    def of(cls, features: Tensor) -> "TaskSums":
        """From the task's features `(rows, features)`."""
        x = features.double()
        width = x.shape[1]
        gram = torch.empty(packed_size(width), dtype=torch.float64)
        for start, strip in strips(gram, width):
            torch.mm(x[:, start : start + len(strip)].T, x[:, start:], out=strip)
        return cls(x.mean(0), gram.div_(len(x)))


class RidgeSums:
    """The sums of all tasks.

    Attributes:
        means: of each task, in slot order.
        high, low: strips of the total Gram matrix, whose value is their sum; None before the first task.
    """

    def __init__(
        self, means: Iterable[Tensor] = (), high: Tensor | None = None, low: Tensor | None = None
    ) -> None:
        self.means = list(means)
        self.high, self.low = high, low

    @classmethod
    def of(cls, tasks: Iterable[Tensor]) -> "RidgeSums":
        """From the features of each slot in turn, `(rows, features)`."""
        sums = cls()
        for features in tasks:
            sums.add(TaskSums.of(features))
        return sums

    def add(self, task: TaskSums) -> None:
        """Give the task the next slot."""
        self.means.append(task.mean)
        self._accumulate(task.gram, 1.0)

    def remove(self, slot: int, task: TaskSums) -> None:
        """Take a task out, as if it had never been there; later slots move up by one."""
        if not (0 <= slot < len(self.means) and torch.equal(self.means[slot], task.mean)):
            raise InvalidSettingError(
                f"slot {slot} does not hold these sums: give the sums that were added there"
            )
        del self.means[slot]
        self._accumulate(task.gram, -1.0)

    def in_order(self, slots: Iterable[int]) -> "RidgeSums":
        """The same sums with the tasks in another order."""
        return RidgeSums([self.means[slot] for slot in slots], self.high, self.low)

    def within(self, first: int, last: int) -> Tensor:
        """Covariance of the features from `first` to before `last` around the mean of their own task."""
        if self.high is None or self.low is None or not self.means:
            raise InvalidSettingError("no task has been added: add at least one before solving")
        means = torch.stack(self.means)
        found = torch.zeros(last - first, last - first, dtype=torch.float64)
        each = zip(*(strips(part, means.shape[1]) for part in (self.high, self.low)), strict=True)
        for (start, high), (_, low) in each:
            top, bottom = max(first, start), min(last, start + len(high))
            if top < bottom:
                part = slice(top - start, bottom - start), slice(top - start, last - start)
                found[top - first : bottom - first, top - first :] = high[part] + low[part]
        found = (found.triu() + found.triu(1).T) / len(means)
        own = means[:, first:last]
        return found - own.T @ own / len(means)

    def system(self, *, standardise: bool = True) -> "RidgeSystem":
        """Centred, and scaled to unit variance unless told otherwise, ready to solve."""
        if self.high is None or self.low is None or not self.means:
            raise InvalidSettingError("no task has been added: add at least one before solving")
        tasks, means = len(self.means), torch.stack(self.means)
        centre, width = means.mean(0), means.shape[1]
        packed = (self.high + self.low).div_(tasks)
        squares = _diagonal(packed, width)
        for start, strip in strips(packed, width):
            strip.addr_(centre[start : start + len(strip)], centre[start:], alpha=-1.0)
        # A feature that hardly moves far from zero has the rounding of its large squares for a variance.
        variance = _diagonal(packed, width).maximum(1e-10 * squares).clamp_min(1e-12)
        scale = variance.sqrt() if standardise else variance.mean().sqrt().expand_as(variance)
        for start, strip in strips(packed, width):
            strip.div_(scale[start : start + len(strip), None]).div_(scale[start:])
        return RidgeSystem(centre, scale, packed, (means - centre) / scale / tasks)

    def _accumulate(self, gram: Tensor, sign: float) -> None:
        if self.high is None or self.low is None:
            self.high, self.low = torch.zeros_like(gram), torch.zeros_like(gram)
        total, moved, rest = (torch.empty(CHUNK, dtype=torch.float64) for _ in range(3))
        parts = (whole.split(CHUNK) for whole in (self.high, self.low, gram))
        for high, low, part in zip(*parts, strict=True):
            if len(part) < CHUNK:
                total, moved, rest = (buffer[: len(part)] for buffer in (total, moved, rest))
            torch.add(high, part, alpha=sign, out=total)
            torch.sub(total, high, out=moved)
            torch.sub(total, moved, out=rest)
            low.add_(torch.sub(high, rest, out=rest))
            low.add_(torch.sub(moved, part, alpha=sign, out=moved), alpha=-1.0)
            high.copy_(total)


@dataclass(frozen=True)
class RidgeSystem:
    """Normal equations on standardised features: the strips of the correlation, cross `(tasks, features)`."""

    centre: Tensor
    scale: Tensor
    correlation: Tensor
    cross: Tensor

    def solve(self, ridge: float) -> tuple[Tensor, Tensor]:
        """Weight `(tasks, features)` and bias `(tasks,)` for raw features: scores of one-hot targets."""
        return Damped(self, ridge, self.rounded()).exact()

    def rounded(self) -> Tensor:
        """The correlation in float32, `(features, features)`; left of the diagonal stands anything."""
        return self._square(torch.float32)

    def factor(self, ridge: float) -> Tensor:
        """Cholesky factor of the damped correlation in float64."""
        square = self._square(torch.float64)
        square.diagonal().add_(ridge)
        return torch.linalg.cholesky(square, upper=True).mT

    def times(self, x: Tensor) -> Tensor:
        """The correlation times `x (features, columns)`."""
        found = torch.zeros_like(x)
        for start, strip in strips(self.correlation, len(x)):
            end = start + len(strip)
            found[start:end].addmm_(strip, x[start:])
            found[end:].addmm_(strip[:, len(strip) :].T, x[start:end])
        return found

    def raw(self, solution: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias for raw features, of a solution `(features, tasks)` for standardised ones."""
        weight = solution.T.double() / self.scale
        return weight, 1 / len(self.cross) - weight @ self.centre

    def _square(self, dtype: torch.dtype) -> Tensor:
        width = len(self.scale)
        square = torch.empty(width, width, dtype=dtype)
        for start, strip in strips(self.correlation, width):
            square[start : start + len(strip), start:] = strip
        return square


class Damped:
    """The system with a ridge on its diagonal, factored in float32: half the work of float64, and enough to
    tell ridges apart. The exact solution is refined from it.

    Args:
        rounded: what `RidgeSystem.rounded` gave; its diagonal is changed for the moment.
    """

    EXACT = 1e-10
    """Share of the solution that may be wrong in it."""
    STEPS = 12

    def __init__(self, system: RidgeSystem, ridge: float, rounded: Tensor) -> None:
        self.system, self.ridge = system, ridge
        diagonal = rounded.diagonal()
        undamped = diagonal.clone()
        diagonal.add_(ridge)
        upper, failed = torch.linalg.cholesky_ex(rounded, upper=True)
        self._factor = upper.mT
        diagonal.copy_(undamped)
        self._rough = None if failed.item() else self._divide(system.cross.T)

    def rough(self) -> tuple[Tensor, Tensor]:
        """Weight and bias to about the precision of float32."""
        return self.exact() if self._rough is None else self.system.raw(self._rough)

    def exact(self) -> tuple[Tensor, Tensor]:
        """Weight and bias to the precision of float64.

        Iterative refinement: what the solution in float32 leaves over, measured in float64, is solved again,
        until nothing is left; where that does not get there, a factor in float64 does.
        """
        wanted, found = self.system.cross.T, self._rough
        before = 1.0
        for _ in range(0 if found is None else self.STEPS):
            assert found is not None
            change = self._divide(wanted - self.system.times(found) - self.ridge * found)
            found = found + change
            step = (change.abs().max() / found.abs().max().clamp_min(1e-300)).item()
            shrinks = step / before
            if shrinks < 0.5 and step * shrinks <= self.EXACT:
                return self.system.raw(found)
            before = step
        return self.system.raw(_substitute(self.system.factor(self.ridge), wanted))

    def _divide(self, right: Tensor) -> Tensor:
        # Scaled, so that what little is left over does not vanish in float32.
        size = right.abs().max().clamp_min(1e-300)
        return _substitute(self._factor, (right / size).float()).double() * size


def _substitute(factor: Tensor, right: Tensor) -> Tensor:
    """`(L L^T)^-1 right`. Two triangular solves cost half of `cholesky_solve`, which copies the factor."""
    half = torch.linalg.solve_triangular(factor, right, upper=False)
    return torch.linalg.solve_triangular(factor.mT, half, upper=True)


def _diagonal(packed: Tensor, width: int) -> Tensor:
    return torch.cat([strip.diagonal() for _, strip in strips(packed, width)])
