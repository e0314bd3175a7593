"""Many frozen experts in memory, each text answered by its own: the factors of a layer stand side by side.

Every adapter is a pair of factors, so experts of any kind, shape and rank share one bank: ranks are padded
with zeros. A text gathers the factors of its own expert and multiplies by those alone; the cost does not grow
with the number of experts.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from trainer.experts import ExpertModule
from trainer.routers import Features, Routing
from trainer.visitors import Visitor, pool

NOBODY = -1
"""The slot of a text that no expert has been chosen for."""


class Bank:
    """The factors of all experts: for each linear layer `A (experts, inputs, rank)` and `B (experts, rank,
    outputs)`."""

    def __init__(self, experts: Sequence[ExpertModule]) -> None:
        self.experts = list(experts)
        with torch.no_grad():
            each = [expert.visitor().factors for expert in experts]
            places = {place: found for factors in each for place, found in factors.items()}
            self.factors = {
                place: _stack([factors.get(place) for factors in each], sample)
                for place, sample in places.items()
            }

    def outputs(self, slots: Tensor, final: Tensor, mask: Tensor) -> list[Tensor]:
        """Each text's output from the head of its expert; lengths differ with the number of labels."""
        found: list[Tensor | None] = [None] * len(slots)
        for slot in slots.unique().tolist():
            rows = (slots == slot).nonzero()[:, 0]
            for row, output in zip(
                rows.tolist(), self.experts[slot].outputs(final[rows], mask[rows]), strict=True
            ):
                found[row] = output
        return [output for output in found if output is not None]


class Chosen(Visitor):
    """Adds each text's own expert. The choice is known before the forward: a forced expert, or an earlier
    pass."""

    def __init__(self, bank: Bank, slots: Tensor) -> None:
        self.bank, self.slots = bank, slots

    def delta(self, layer: int, module: str, x: Tensor) -> Tensor | None:
        """The update of each text's expert at this place."""
        found = self.bank.factors.get((layer, module))
        if found is None:
            return None
        a, b = found
        return x.bmm(a[self.slots]).bmm(b[self.slots])


class RoutingFunction(Protocol):
    """A router in evaluation mode."""

    def __call__(self, features: Features) -> Routing:
        """Choose among the experts."""


class RoutedOnTheWay(Chosen):
    """Chooses inside the forward: reads the states up to `max(layers)`, routes, and lets the experts act from
    there on.

    Attributes:
        routing: the decision, once the forward has passed `max(layers)`.
    """

    def __init__(
        self, bank: Bank, router: RoutingFunction, layers: Sequence[int], mask: Tensor, texts: Sequence[str]
    ) -> None:
        super().__init__(bank, torch.full((len(texts),), NOBODY))
        self.router, self.layers, self.mask, self.texts = router, tuple(layers), mask, texts
        self.pooled: list[Tensor] = []
        self.routing: Routing | None = None

    def enter(self, layer: int, hidden: Tensor) -> None:
        """Pool the layers that the router reads; after the last of them, route."""
        if layer not in self.layers:
            return
        self.pooled.append(pool(hidden, self.mask))
        if layer == self.layers[-1]:
            self.routing = self.router(Features(torch.stack(self.pooled, 1), self.texts))
            self.slots = self.routing.slots[:, 0]


def _stack(
    found: Sequence[tuple[Tensor, Tensor] | None], sample: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    rank = max(one[0].shape[1] for one in found if one is not None)
    a = sample[0].new_zeros(len(found), sample[0].shape[0], rank)
    b = sample[1].new_zeros(len(found), rank, sample[1].shape[1])
    for slot, one in enumerate(found):
        if one is not None:
            a[slot, :, : one[0].shape[1]] = one[0]
            b[slot, : one[1].shape[0]] = one[1]
    return a, b
