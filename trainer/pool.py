"""Each text of a batch answered by its own expert, inside one forward of the base model."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from trainer.bank import Loan
from trainer.routers import Features, Routing
from trainer.spans import means, spread
from trainer.visitors import Visitor, pool


class Chosen(Visitor):
    """Lets each text's own expert act, once a loan has taken them: for a forced expert, or after an earlier
    pass."""

    def __init__(self, loan: Loan) -> None:
        self.loan = loan
        self._by_form = loan.by_form()

    def enter(self, layer: int, hidden: Tensor) -> None:
        """Keep what heads of the pool read on the way."""
        if layer in self.loan.bank.early:
            self.loan.early[layer] = hidden

    def adapt(self, layer: int, module: str, x: Tensor, output: Tensor) -> Tensor | None:
        """The output with the update of each text's expert."""
        for shelf, rows, places in self._by_form:
            parts = shelf.take(layer, module, places)
            if parts is None:
                continue
            if rows is None:
                return shelf.form.apply(x, output, parts)
            output[rows] = shelf.form.apply(x[rows], output[rows], parts)
        return output


class RoutingFunction(Protocol):
    """A router in evaluation mode."""

    def __call__(self, features: Features) -> Routing:
        """Choose among the experts."""


class RoutedOnTheWay(Chosen):
    """Chooses inside the forward: reads the states up to `max(layers)`, routes, and lets the experts act from
    there on.

    Args:
        counts: how many sequences of the batch each input is; texts: of each, for routers of text.

    Attributes:
        routing: the decision, once the forward has passed `max(layers)`.
    """

    def __init__(
        self,
        loan: Loan,
        router: RoutingFunction,
        layers: Sequence[int],
        mask: Tensor,
        counts: Sequence[int],
        texts: Sequence[str],
    ) -> None:
        super().__init__(loan)
        self.router, self.layers, self.mask, self.texts = router, tuple(layers), mask, texts
        self.counts = counts
        self.pooled: list[Tensor] = []
        self.routing: Routing | None = None

    def enter(self, layer: int, hidden: Tensor) -> None:
        """Pool the layers that the router reads; after the last of them, route."""
        super().enter(layer, hidden)
        if layer not in self.layers:
            return
        self.pooled.append(means(pool(hidden, self.mask), self.counts))
        if layer == self.layers[-1]:
            self.routing = self.router(Features(torch.stack(self.pooled, 1), self.texts))
            self.loan.take(spread(self.routing.slots[:, 0].tolist(), self.counts))
            self._by_form = self.loan.by_form()
