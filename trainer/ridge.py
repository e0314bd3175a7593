"""Sums over the features of each task, from which ridge regression is solved exactly.

Every task weighs the same, however many rows it has: its Gram matrix and mean are divided by its row count.
Adding or removing one task adds or subtracts its own sums, so a fit built task by task equals the joint fit
to rounding, and a removed task leaves nothing behind. No old rows are needed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from registry.errors import InvalidSettingError
from trainer.routers import Routing, best_temperature, from_logits


@dataclass(frozen=True)
class TaskSums:
    """One task's mean feature `(features,)` and mean outer product `(features, features)`, in float64."""

    mean: Tensor
    gram: Tensor

    @classmethod
    def of(cls, features: Tensor) -> "TaskSums":
        """From the task's features `(rows, features)`."""
        x = features.double()
        return cls(x.mean(0), x.T @ x / len(x))


class RidgeSums:
    """The sums of all tasks, in slot order."""

    def __init__(self) -> None:
        self.means: list[Tensor] = []
        self.gram: Tensor | None = None

    def add(self, task: TaskSums) -> None:
        """Give the task the next slot."""
        self.means.append(task.mean)
        self.gram = task.gram.clone() if self.gram is None else self.gram + task.gram

    def remove(self, slot: int, task: TaskSums) -> None:
        """Take a task out, as if it had never been there; later slots move up by one."""
        holds = 0 <= slot < len(self.means) and torch.equal(self.means[slot], task.mean)
        if self.gram is None or not holds:
            raise InvalidSettingError(
                f"slot {slot} does not hold these sums: give the sums that were added there"
            )
        del self.means[slot]
        self.gram = self.gram - task.gram if self.means else None

    def system(self, *, standardise: bool = True) -> "RidgeSystem":
        """Centred, and scaled to unit variance unless told otherwise, ready to solve."""
        if self.gram is None:
            raise InvalidSettingError("no task has been added: add at least one before solving")
        tasks, means = len(self.means), torch.stack(self.means)
        centre = means.mean(0)
        covariance = self.gram / tasks - torch.outer(centre, centre)
        # A feature that hardly moves far from zero has the rounding of its large squares for a variance.
        rounding = 1e-10 * self.gram.diagonal() / tasks
        variance = covariance.diagonal().maximum(rounding).clamp_min(1e-12)
        scale = variance.sqrt() if standardise else variance.mean().sqrt().expand_as(variance)
        return RidgeSystem(
            centre, scale, covariance / torch.outer(scale, scale), (means - centre) / scale / tasks
        )


@dataclass(frozen=True)
class RidgeSystem:
    """Normal equations on standardised features: correlation `(features, features)`, cross `(tasks,
    features)`."""

    centre: Tensor
    scale: Tensor
    correlation: Tensor
    cross: Tensor

    def solve(self, ridge: float) -> tuple[Tensor, Tensor]:
        """Weight `(tasks, features)` and bias `(tasks,)` for raw features: scores of one-hot targets."""
        damped = self.correlation + ridge * torch.eye(len(self.scale), dtype=torch.float64)
        factor = torch.linalg.cholesky(damped)
        weight = torch.cholesky_solve(self.cross.T, factor).T / self.scale
        return weight, 1 / len(self.cross) - weight @ self.centre


@dataclass(frozen=True)
class RidgeFit:
    """A chosen solution: scores are `features @ weight.T + bias`, sharpened by dividing by `temperature`."""

    weight: Tensor
    bias: Tensor
    temperature: float


class LinearRouter(nn.Module):
    """Linear scores over some features: what routers solved by ridge have in common."""

    temperature: Tensor

    def __init__(self, inputs: int, slots: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, slots)
        self.register_buffer("temperature", torch.ones(()))

    def score(self, features: Tensor) -> Routing:
        """Softmax of the sharpened scores of features `(batch, inputs)`."""
        return from_logits(self.linear(features) / self.temperature)

    def freeze(self, found: RidgeFit) -> Self:
        """Take a solution for good."""
        self.requires_grad_(False)
        self.linear.weight.copy_(found.weight)
        self.linear.bias.copy_(found.bias)
        self.temperature.fill_(found.temperature)
        return self.eval()


def fit_ridge(
    tasks: Iterable[Tensor],
    features: Tensor,
    slots: Tensor,
    ridges: Sequence[float],
    *,
    standardise: bool = True,
) -> RidgeFit:
    """Solve for each ridge and keep the best on validation: by accuracy, then by likelihood.

    Args:
        tasks: training features of each slot in turn, `(rows, features)`.
        features, slots: the validation rows.
        ridges: shares of a feature's variance.
    """
    sums = RidgeSums()
    for task in tasks:
        sums.add(TaskSums.of(task))
    system = sums.system(standardise=standardise)
    fits = []
    for ridge in ridges:
        weight, bias = system.solve(ridge)
        logits = features.double() @ weight.T + bias
        temperature = best_temperature(logits, slots)
        accuracy = (logits.argmax(-1) == slots).double().mean().item()
        likelihood = -functional.cross_entropy(logits / temperature, slots).item()
        fits.append((accuracy, likelihood, RidgeFit(weight, bias, temperature)))
    return max(fits, key=lambda fit: fit[:2])[2]
