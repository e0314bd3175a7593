"""The shares that the tokens of a batch give to experts, on their way through one forward."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainer.routers import Routing


class Gate:
    """A gate at work.

    Attributes:
        router: of a gate kind; layers: those whose entering states it reads, in their order.
    """

    def __init__(self, router: nn.Module, layers: Sequence[int]) -> None:
        self.router, self.layers = router, tuple(layers)


class Shares:
    """What a gate says in one forward; the next forward begins anew.

    Attributes:
        routings: at each of the gate's layers passed so far, `(batch, tokens, experts)`.
    """

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.routings: list[Routing] = []

    def enter(self, layer: int, hidden: Tensor) -> None:
        """At its layers, ask the gate about the states `(batch, tokens, hidden)`."""
        if layer not in self.gate.layers:
            return
        place = self.gate.layers.index(layer)
        self.routings = [*self.routings[:place], self.gate.router.at(place, hidden)]  # type: ignore[operator]

    @property
    def weights(self) -> Tensor:
        """Of the layer at hand, and of those above it that are not read, `(batch, tokens, experts)`."""
        return self.routings[-1].weights

    def mean(self, mask: Tensor) -> Tensor:
        """Over the layers and the tokens of each text, `(batch, experts)`; padding never counts."""
        weights = torch.stack([one.weights for one in self.routings]).mean(0)
        real = mask.unsqueeze(-1).to(weights.dtype)
        return (weights * real).sum(1) / real.sum(1)
