"""Router kinds, one module each. The contract, held by `tests/trainer/routers/test_contract.py`:

- `Config`: a frozen dataclass of JSON values, stored with the generation.
- `READS`: what it needs of a text: `("states",)`, the pooled hidden states; `("text",)`, the text itself; or
  both. `trainer.familiarity` has the score that goes with it.
- `AUTO`: true if `auto` is to fit it too, and to keep it where validation likes it best.
- `Router(config, shape, slots)`: an `nn.Module` for features of shape `(layers, 2, hidden)` and `slots`
  experts. Its `state_dict` is all that is frozen.
- `forward(features) -> Routing`: weights >= 0 that sum to 1. Padding and batch never matter; evaluation is
  deterministic.
- `fit(config, training, validation, slots, seed, on_progress) -> Router`: validation chooses what has to be
  chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.progress import Progress, silent
from trainer.sums import RidgeSums

TEMPERATURES = tuple(10 ** (place / 10) for place in range(-20, 11))


@dataclass(frozen=True)
class Features:
    """What routers read of a batch of texts: what their `READS` name is there, the other may be.

    Attributes:
        states: `(batch, layers, 2, hidden)`, mean and last-token states of early layers; for gates the
            state of each token, `(batch, layers, tokens, hidden)`; None for routers of text.
        texts: the texts, pairs and choices joined by line breaks; None for routers of states.
    """

    states: Tensor | None
    texts: Sequence[str] | None

    def __len__(self) -> int:
        return len(self.states if self.texts is None else self.texts)  # type: ignore[arg-type]

    def take(self, rows: Sequence[int]) -> "Features":
        """Some of the rows, in that order."""
        states = None if self.states is None else self.states[list(rows)]
        return Features(states, None if self.texts is None else [self.texts[row] for row in rows])


class Examples:
    """Rows to fit a router on. `slots (rows,)`: for each the slot of the expert that should answer it;
    `fitted`: the routers that `fit_once` has fitted on them.

    A pool's rows are many: what a fit does not ask for is not read.
    """

    def __init__(self, slots: Tensor) -> None:
        self.slots = slots
        self.fitted: dict[Any, nn.Module] = {}

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def texts(self) -> Sequence[str]:
        """The texts, pairs and choices joined by line breaks."""
        raise NotImplementedError

    @property
    def states(self) -> Tensor:
        """The states, `(rows, layers, 2, hidden)`."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the states of one row: `(layers, 2, hidden)`."""
        return tuple(self.states.shape[1:])

    def layer(self, place: int) -> Tensor:
        """The states of one layer, `(rows, 2, hidden)`; -1 is the deepest that is read."""
        return self.states[:, place]

    def sums(self) -> RidgeSums:
        """The sums over the states of each slot in turn."""
        states = self.states.flatten(1)
        return RidgeSums.of(states[self.slots == slot] for slot in range(int(self.slots.max()) + 1))


def read(examples: Examples, reads: Sequence[str]) -> Features:
    """What a router with these `READS` reads of examples."""
    return Features(
        examples.states if "states" in reads else None, examples.texts if "text" in reads else None
    )


def fit_once(
    module: ModuleType,
    config: Any,
    training: Examples,
    validation: Examples,
    slots: int,
    seed: int,
    on_progress: Progress = silent,
) -> nn.Module:
    """The router of a kind: kinds that are made of others find these fitted where they were tried as well."""
    asked = (module.__name__, config, validation, slots, seed)
    if asked not in training.fitted:
        training.fitted[asked] = module.fit(config, training, validation, slots, seed, on_progress)
    return training.fitted[asked]


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
    1706.04599): the loss is convex in its reciprocal, so the best of a grid is found by halving."""

    @cache
    def loss(place: int) -> float:
        return functional.cross_entropy(logits / TEMPERATURES[place], slots).item()

    low, high = 0, len(TEMPERATURES) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if loss(middle) <= loss(middle + 1) else (middle + 1, high)
    return TEMPERATURES[low]


def routing_accuracy(routing: Routing, slots: Tensor) -> float:
    """Share of rows sent to the right expert."""
    return (routing.slots[:, 0] == slots).double().mean().item()
