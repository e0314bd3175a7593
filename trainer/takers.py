"""Which experts of a pool can take an input: those whose kind has choices, or those whose kind has none."""

from collections.abc import Sequence

import torch
from torch import Tensor

from registry import Expert
from registry.errors import InvalidSettingError
from trainer import kinds
from trainer.inputs import Input
from trainer.routers import Routing


class Takers:
    """The experts of a pool by what they take; a router chooses only among those that can take an input."""

    def __init__(self, experts: Sequence[Expert]) -> None:
        self._experts = list(experts)
        self._choices = torch.tensor(
            [bool(kinds.load("tasks", expert.kind).CHOICES) for expert in experts], dtype=torch.bool
        )

    def takes(self, asked: Input, slot: int | None = None) -> bool:
        """Whether the expert of a slot (None: any expert) can take an input."""
        own = self._choices if slot is None else self._choices[slot]
        return bool((own == bool(asked.choices)).any())

    @staticmethod
    def reason(asked: Input) -> str:
        """Why no expert fits an input that none can take."""
        what = "choices" if asked.choices else "a text without choices"
        return f"no expert fits: none of this pool takes {what}"

    def check(self, asked: Input, slot: int | None = None) -> None:
        """Raises InvalidSettingError if the expert of a slot (None: every expert) cannot take an input."""
        if self.takes(asked, slot):
            return
        who = "no expert of this pool takes" if slot is None else f"{self._experts[slot].name} does not take"
        what = (
            "choices: leave them out" if asked.choices else "a text without choices: give it some (--choice)"
        )
        raise InvalidSettingError(f"{who} {what}, or ask another expert")

    def allowed(self, choices: Sequence[bool]) -> Tensor:
        """Which experts can take each input, `(inputs, experts)`; `choices`: whether each has some."""
        return torch.tensor(choices, dtype=torch.bool)[:, None] == self._choices

    def among(self, routing: Routing, choices: Sequence[bool]) -> Routing:
        """The routing with all weight on experts that can take each input, of which there is one at least.

        Args:
            choices: whether each input has some.
        """
        allowed = self.allowed(choices).to(routing.weights.device).unsqueeze(1)
        if bool(allowed.all()):
            return routing
        logits = routing.logits.masked_fill(~allowed, -torch.inf)
        weights = routing.weights * allowed
        total = weights.sum(-1, keepdim=True)
        # Where all of the weight was elsewhere, to the last bit, the scores still tell the others apart.
        return Routing(torch.where(total > 0, weights / total, logits.softmax(-1)), logits)
