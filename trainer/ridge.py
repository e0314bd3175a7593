"""Routers whose scores are linear, solved by ridge regression from sums per task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.routers import Routing, best_temperature, from_logits
from trainer.sums import Damped, RidgeSums

RIDGES = (0.001, 0.01, 0.1, 1.0)
"""To choose from, as shares of a feature's variance, the smallest first."""


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
    sums: RidgeSums, features: Tensor, slots: Tensor, ridges: Sequence[float], *, standardise: bool = True
) -> RidgeFit:
    """Raise the ridge until validation gets worse, by accuracy, then by likelihood; solve with the best.

    Args:
        features, slots: the validation rows.
        ridges: shares of a feature's variance, the smallest first.
    """
    system = sums.system(standardise=standardise)
    rounded = system.rounded()
    best: tuple[Damped, Tensor] | None = None
    for ridge in ridges:
        damped = Damped(system, ridge, rounded)
        logits = _scores(*damped.rough(), features)
        if best is not None and not better(logits, best[1], slots):
            break
        best = damped, logits
    assert best is not None
    weight, bias = best[0].exact()
    return RidgeFit(weight, bias, best_temperature(_scores(weight, bias, features), slots))


def _scores(weight: Tensor, bias: Tensor, features: Tensor) -> Tensor:
    """In the precision that the router will have."""
    return torch.addmm(bias.float(), features, weight.float().T)


def better(logits: Tensor, best: Tensor, slots: Tensor) -> bool:
    """Whether more rows find their slot; between equals, whether the right slots are likelier."""
    hits, before = ((each.argmax(-1) == slots).sum().item() for each in (logits, best))
    return hits > before or (hits == before and _loss(logits, slots) <= _loss(best, slots))


def _loss(logits: Tensor, slots: Tensor) -> float:
    """Mean cross-entropy at the best temperature."""
    return functional.cross_entropy(logits / best_temperature(logits, slots), slots).item()
