"""The forward in which a router decides about a batch, and the experts that it chose answer."""

from collections.abc import Sequence

from torch import Tensor
from transformers import Cache

from trainer import denormals
from trainer.base_model import BaseModel
from trainer.decisions import Decider, Decision
from trainer.generations import RouterDesign
from trainer.inputs import words
from trainer.loans import Loan
from trainer.mixes import Policy
from trainer.pool import Chosen, RoutedOnTheWay
from trainer.predictions import Asked, counts_of, inputs_of
from trainer.routers import Features
from trainer.spans import means, spread
from trainer.takers import Form
from trainer.tokens import Batch
from trainer.visitors import Taps


class Pass:
    """One for a batch, or two; for each text, or for each token."""

    def __init__(self, base: BaseModel, decider: Decider, design: RouterDesign) -> None:
        self._base, self._decider, self._design = base, decider, design

    def run(
        self, loan: Loan, batch: Batch, asked: Sequence[Asked], policy: Policy, cache: Cache | None
    ) -> tuple[Decision, Tensor]:
        """The decision and the final states of the experts it chose."""
        layers, counts = self._design.layers, counts_of(asked)
        inputs = inputs_of(asked)
        forms = [Form.of(one) for one in inputs]
        if loan.bank.gate is not None:
            return self._weighed(loan, batch, forms, counts, cache)

        def decide(features: Features) -> Decision:
            return self._decider.decide(features, forms, policy)

        if layers and self._design.passes == "one":
            visitor = RoutedOnTheWay(loan, decide, layers, batch.mask, counts, words(inputs))
            final = self._base.forward(batch, visitor, cache)
            assert visitor.decision is not None
            return visitor.decision, final
        states = self._pooled(batch, counts) if layers else None
        with denormals.flushed():
            decision = decide(Features(states, words(inputs)))
        loan.take_mixed(spread(decision.mixes, counts))
        return decision, self._base.forward(batch, Chosen(loan), cache)

    def _pooled(self, batch: Batch, counts: Sequence[int]) -> Tensor:
        """What the router reads in a pass of its own."""
        taps = Taps(self._design.layers)
        self._base.forward(batch, taps)
        return means(taps.pooled(self._design.layers, batch.mask), counts)

    def _weighed(
        self, loan: Loan, batch: Batch, forms: Sequence[Form], counts: Sequence[int], cache: Cache | None
    ) -> tuple[Decision, Tensor]:
        """Every token weighs all experts on its way; who speaks is known at its end."""
        loan.take_mixed([self._decider.everyone] * len(batch.mask))
        visitor = Chosen(loan)
        final = self._base.forward(batch, visitor, cache)
        assert visitor.shares is not None
        decision = self._decider.mix(means(visitor.shares.mean(batch.mask), counts), forms)
        loan.mixes = spread(decision.mixes, counts)
        return decision, final
