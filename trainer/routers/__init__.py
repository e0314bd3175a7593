"""Router kinds, one module each. The contract, held by `tests/trainer/routers/test_contract.py`:

- `Config`: a frozen dataclass of JSON values, stored with the generation.
- `READS`: `"states"` if it needs pooled hidden states, `"text"` if the text alone will do.
- `Router(config, shape, slots)`: an `nn.Module` for features of shape `(layers, 2, hidden)` and `slots`
  experts. Its `state_dict` is all that is frozen.
- `forward(features) -> Routing`: weights >= 0 that sum to 1. Padding and batch never matter; evaluation is
  deterministic.
- `fit(config, training, validation, slots, seed, on_progress) -> Router`: validation chooses what has to be
  chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

TEMPERATURES = torch.logspace(-2, 1, 31, dtype=torch.float64)


@dataclass(frozen=True)
class Features:
    """What routers read of a batch of texts.

    Attributes:
        states: `(batch, layers, 2, hidden)`, mean and last-token states of early layers; None for routers of
            text.
        texts: the texts, pairs joined by a line break.
    """

    states: Tensor | None
    texts: Sequence[str]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int]) -> "Features":
        """Some of the rows, in that order."""
        states = None if self.states is None else self.states[list(rows)]
        return Features(states, [self.texts[row] for row in rows])


@dataclass(frozen=True)
class Examples:
    """Features, and for each row the slot of the expert that should answer it, `(rows,)`."""

    features: Features
    slots: Tensor


@dataclass(frozen=True)
class Routing:
    """How much each expert counts.

    Attributes:
        weights: `(batch, 1 or tokens, experts)`, non-negative, summing to 1 over the experts.
        logits: the scores behind the weights, same shape.
    """

    weights: Tensor
    logits: Tensor

    @property
    def slots(self) -> Tensor:
        """The expert with the largest weight, `(batch, 1 or tokens)`."""
        return self.weights.argmax(-1)

    @property
    def margin(self) -> Tensor:
        """Largest weight minus the second largest, `(batch, 1 or tokens)`; 1 when there is but one expert."""
        if self.weights.shape[-1] == 1:
            return torch.ones_like(self.weights[..., 0])
        best = self.weights.topk(2, -1).values
        return best[..., 0] - best[..., 1]


def from_logits(logits: Tensor) -> Routing:
    """Softmax weights for one decision a text: `logits (batch, experts)`."""
    return Routing(logits.softmax(-1).unsqueeze(1), logits.unsqueeze(1))


def best_temperature(logits: Tensor, slots: Tensor) -> float:
    """The divisor of the logits under which the right slots are most likely (temperature scaling, arXiv
    1706.04599)."""
    losses = [
        torch.nn.functional.cross_entropy(logits.double() / temperature, slots).item()
        for temperature in TEMPERATURES
    ]
    return float(TEMPERATURES[int(torch.tensor(losses).argmin())])


def routing_accuracy(routing: Routing, slots: Tensor) -> float:
    """Share of rows sent to the right expert."""
    return (routing.slots[:, 0] == slots).double().mean().item()
