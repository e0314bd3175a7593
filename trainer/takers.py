"""Which experts of a pool can take an input.

Those whose kind has choices take inputs with some, the others take those without. Of the ones left, those
that learnt from inputs with a second text are asked about such inputs, and about no others, where there are
any: a headline alone goes to no expert that compares two sentences.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from registry import Dataset, Expert
from registry.errors import InvalidSettingError
from trainer import kinds
from trainer.inputs import Input
from trainer.routers import Routing


class Form(NamedTuple):
    """What an input consists of beside its text."""

    choices: bool
    pair: bool

    @classmethod
    def of(cls, asked: Input) -> "Form":
        """That of an input."""
        return cls(bool(asked.choices), asked.pair is not None)

    @classmethod
    def learnt(cls, kind: str, dataset: Dataset) -> "Form":
        """That of the rows of a dataset."""
        return cls(bool(kinds.load("tasks", kind).CHOICES), "text_pair" in dataset.columns)


class Takers:
    """The experts of a pool by what they take; a router chooses only among those that can take an input.

    Args:
        paired: slots of those that learnt from inputs with a second text; None where that is not known.
    """

    def __init__(self, experts: Sequence[Expert], paired: Sequence[int] | None = None) -> None:
        self._experts = list(experts)
        self._choices = torch.tensor(
            [bool(kinds.load("tasks", expert.kind).CHOICES) for expert in experts], dtype=torch.bool
        )
        self._paired: Tensor | None = None
        if paired is not None:
            self._paired = torch.zeros(len(self._experts), dtype=torch.bool)
            self._paired[list(paired)] = True

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

    def allowed(self, forms: Sequence[Form]) -> Tensor:
        """Which experts can take the input of each form, `(inputs, experts)`."""
        asked = torch.tensor(forms, dtype=torch.bool).view(-1, 2)
        able = asked[:, :1] == self._choices
        if self._paired is None:
            return able
        alike = able & (asked[:, 1:] == self._paired)
        return torch.where(alike.any(1, keepdim=True), alike, able)

    def among(self, routing: Routing, forms: Sequence[Form]) -> Routing:
        """The routing with all weight on experts that can take each input, of which there is one at least.

        Args:
            forms: of the inputs.
        """
        allowed = self.allowed(forms).to(routing.weights.device).unsqueeze(1)
        if bool(allowed.all()):
            return routing
        logits = routing.logits.masked_fill(~allowed, -torch.inf)
        weights = routing.weights * allowed
        total = weights.sum(-1, keepdim=True)
        # Where all of the weight was elsewhere, to the last bit, the scores still tell the others apart.
        return Routing(torch.where(total > 0, weights / total, logits.softmax(-1)), logits)
