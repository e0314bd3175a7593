"""Each text of a batch answered by its own experts, inside one forward of the base model."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from trainer.decisions import Decision
from trainer.gating import Shares
from trainer.loans import Group, Loan
from trainer.routers import Features
from trainer.spans import means, spread
from trainer.visitors import Visitor, pool


class Chosen(Visitor):
    """Lets each text's own experts act, once a loan has taken them: where they are known beforehand, or after
    an earlier pass.

    Several experts of one text add the sum of their updates, each times its weight: for low-rank updates
    `sum_e w_e A_e B_e x`, which no mean of the `A` and of the `B` would give. The weight is the text's, or,
    where the pool has a gate, that of each token.

    Attributes:
        shares: what the gate says.
    """

    def __init__(self, loan: Loan) -> None:
        self.loan = loan
        self.shares = None if loan.gate is None else Shares(loan.gate)
        self._alone, self._together = loan.alone(), loan.together()

    def enter(self, layer: int, hidden: Tensor) -> None:
        """Keep what heads of the pool read on the way, and ask the gate where tokens are weighed."""
        if self.shares is not None:
            self.shares.enter(layer, hidden)
        if layer in self.loan.bank.early:
            self.loan.early[layer] = hidden

    def adapt(self, layer: int, module: str, x: Tensor, output: Tensor) -> Tensor | None:
        """The output with the updates of each text's experts."""
        bare = output.clone() if self._together else output
        for group in self._alone:
            parts = group.shelf.take(layer, module, group.places)
            if parts is None:
                continue
            if group.rows is None:
                return group.shelf.form.apply(x, output, parts)
            output[group.rows] = group.shelf.form.apply(x[group.rows], output[group.rows], parts)
        for group in self._together:
            parts = group.shelf.take(layer, module, group.places)
            if parts is None:
                continue
            rows = slice(None) if group.rows is None else group.rows
            # What an update is may depend on the output, so it is measured against the bare one.
            update = group.shelf.form.apply(x[rows], bare[rows].clone(), parts) - bare[rows]
            output[rows] += self._weights(group) * update
        return output

    def _weights(self, group: Group) -> Tensor | float:
        """How much the experts of a group count, `(rows, 1 or tokens, 1)`."""
        if self.shares is None:
            return group.weights
        own = self.shares.weights if group.rows is None else self.shares.weights[group.rows]
        return own.gather(2, group.slots.view(-1, 1, 1).expand(-1, own.shape[1], 1))


class Deciding(Protocol):
    """What decides about each input of a batch from what routers read."""

    def __call__(self, features: Features) -> Decision:
        """Choose experts."""


class RoutedOnTheWay(Chosen):
    """Chooses inside the forward: reads the states up to `max(layers)`, routes, and lets the experts act from
    there on.

    Args:
        counts: how many sequences of the batch each input is; texts: of each, for routers of text.

    Attributes:
        decision: once the forward has passed `max(layers)`.
    """

    def __init__(
        self,
        loan: Loan,
        decide: Deciding,
        layers: Sequence[int],
        mask: Tensor,
        counts: Sequence[int],
        texts: Sequence[str],
    ) -> None:
        super().__init__(loan)
        self.decide, self.layers, self.mask, self.texts = decide, tuple(layers), mask, texts
        self.counts = counts
        self.pooled: list[Tensor] = []
        self.decision: Decision | None = None

    def enter(self, layer: int, hidden: Tensor) -> None:
        """Pool the layers that the router reads; after the last of them, route."""
        super().enter(layer, hidden)
        if layer not in self.layers:
            return
        self.pooled.append(means(pool(hidden, self.mask), self.counts))
        if layer == self.layers[-1]:
            self.decision = self.decide(Features(torch.stack(self.pooled, 1), self.texts))
            self.loan.take_mixed(spread(self.decision.mixes, self.counts))
            self._alone, self._together = self.loan.alone(), self.loan.together()
