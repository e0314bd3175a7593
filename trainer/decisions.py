"""What a router makes of inputs: which experts answer, how much each counts, and whether any fits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from registry import Expert
from trainer.familiarity import Fit
from trainer.inputs import Input
from trainer.mixes import BARE, Mix, Policy
from trainer.routers import Features, Routing
from trainer.takers import Form, Takers


class Weights(Mapping[str, float]):
    """The router's weight of each task: one short array and shared names, even with a thousand tasks, and a
    number only for who asks."""

    def __init__(self, tasks: Mapping[str, int], row: np.ndarray) -> None:
        self._tasks, self._row = tasks, row

    def __getitem__(self, task: str) -> float:
        return float(self._row[self._tasks[task]])

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    def candidates(self, count: int) -> dict[str, float]:
        """All that are as large as the `count`-th largest."""
        if count >= len(self._row):
            return dict(self)
        least = np.partition(self._row, -count)[-count]
        names = list(self._tasks)
        return {names[place]: float(self._row[place]) for place in np.flatnonzero(self._row >= least)}

    def __repr__(self) -> str:
        return repr(dict(self))


@dataclass(frozen=True)
class Decision:
    """What becomes of the inputs of a batch.

    Attributes:
        mixes: the experts that answer each.
        slots: of the expert with the largest weight that can take it, whether it answers or not; margins,
            weights: as the router gave them.
        scores: how strange each is; None where the generation cannot tell.
        reasons: why no expert can take each; None where some can, and the scores say whether one fits.
    """

    mixes: list[Mix]
    slots: list[int]
    margins: list[float]
    weights: list[Weights]
    scores: list[float] | None
    reasons: list[str] | None = None


class Decider:
    """A router and what it knows of strange inputs, over the experts of its slots.

    Attributes:
        router: None where one expert is forced, and nothing is decided; fit: when an expert fits; None:
            always; paired: see `Takers`.
    """

    def __init__(
        self,
        experts: Sequence[Expert],
        router: nn.Module | None,
        fit: Fit | None,
        paired: Sequence[int] | None = None,
    ) -> None:
        self.router, self.fit = router, fit
        self.takers = Takers(experts, paired)
        self._kinds = [expert.kind for expert in experts]
        self._tasks = {expert.task: slot for slot, expert in enumerate(experts)}

    def route(self, features: Features, forms: Sequence[Form]) -> tuple[Routing, Tensor | None]:
        """The routing among the experts that can take each input, and how strange each is, `(batch,)`."""
        assert self.router is not None
        routing = self.takers.among(self.router(features), forms)
        if self.fit is None:
            return routing, None
        return routing, self.fit.scores(features, routing, self.takers.allowed(forms))

    def decide(self, features: Features, forms: Sequence[Form], policy: Policy) -> Decision:
        """Choose the experts of each input."""
        routing, scores = self.route(features, forms)
        given = None if scores is None else scores.tolist()
        fits = [True] * len(forms) if self.fit is None or given is None else self.fit.fits(given)
        return Decision(
            mixes=policy.mixes(routing, fits, self._kinds),
            slots=routing.slots[:, 0].tolist(),
            margins=routing.margin[:, 0].tolist(),
            weights=[Weights(self._tasks, row) for row in routing.weights[:, 0].numpy(force=True)],
            scores=given,
        )

    def leave(self, asked: Sequence[Input]) -> Decision:
        """Leave inputs that no expert can take to the base model: there is nothing to weigh."""
        return Decision(
            mixes=[BARE] * len(asked),
            slots=[0] * len(asked),
            margins=[0.0] * len(asked),
            weights=[Weights(self._tasks, np.zeros(len(self._tasks), np.float32)) for _ in asked],
            scores=None,
            reasons=[self.takers.reason(one) for one in asked],
        )

    @property
    def everyone(self) -> Mix:
        """All experts, before any token was weighed."""
        return Mix(tuple(range(len(self._kinds))), (1 / len(self._kinds),) * len(self._kinds), speaker=0)

    def mix(self, shares: Tensor, forms: Sequence[Form]) -> Decision:
        """What tokens made of inputs: all experts mix, and of those that can take an input the head of the
        one with the largest share answers.

        Args:
            shares: of the experts over the tokens of each input, `(batch, experts)`.
        """
        logits = shares.clamp_min(torch.finfo(shares.dtype).tiny).log()
        among = self.takers.among(Routing(shares.unsqueeze(1), logits.unsqueeze(1)), forms)
        speakers = among.slots[:, 0].tolist()
        rows = shares.numpy(force=True)
        return Decision(
            mixes=[
                Mix(self.everyone.slots, tuple(row.tolist()), speaker=speaker)
                for row, speaker in zip(rows, speakers, strict=True)
            ],
            slots=speakers,
            margins=among.margin[:, 0].tolist(),
            weights=[Weights(self._tasks, row) for row in rows],
            scores=None,
        )
