"""Heads in closed form: ridge regression from states to what the outputs should be.

Its penalty, and how sharp the outputs are, is what makes the rows likeliest when each is left out. No row is
really left out: from one eigendecomposition of the products of all rows follows, for any penalty, what every
row would get from a head solved without it.

What heads say that are there already may count more than the states do: of few rows a handful of numbers that
are about something tells more than hundreds that may be.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor, nn

from trainer.data import Row

PENALTIES = tuple(10.0**power for power in range(-3, 4))
"""Tried, as shares of the mean squared length of a row."""

SHARPNESS = tuple(2.0**power for power in range(7))
"""Tried: what all outputs are multiplied by."""


VOICES = (0.0, 0.5, 2.0, 8.0)
"""Tried: how much what other heads say counts, where all states together count 1."""


@dataclass(frozen=True)
class Solution:
    """A solved head.

    Attributes:
        left_out: `(rows, outputs)`, what each row gets from a head solved without it.
        loss: of those; the smaller, the better the states tell the answers.
    """

    head: nn.Module
    left_out: Tensor
    loss: float


def solve(
    kind: ModuleType,
    states: Tensor,
    rows: Sequence[Row],
    labels: Sequence[str],
    said: Tensor | None = None,
) -> Solution:
    """The head of a task kind for some rows, whose states are `(rows, inputs)`.

    Args:
        said: what other heads say of the rows, `(rows, words)`; the head reads it after the states.
    """
    said = states[:, :0] if said is None else said
    head: nn.Module = kind.head(states.shape[1] + said.shape[1], labels).requires_grad_(False)
    kind.prepare(head, rows)
    targets = kind.targets(head, rows, labels)
    aims = kind.aims(targets, len(head.get_parameter("weight"))).double()
    best: tuple[float, System, float, float, Tensor] | None = None
    for voice in VOICES if said.shape[1] else VOICES[:1]:
        system = System.of(states, aims, said, voice)
        for penalty in PENALTIES:
            left_out = system.left_out(penalty)
            for sharpness in SHARPNESS:
                outputs = (sharpness * left_out).float()
                loss = kind.loss(outputs, targets).item()
                if best is None or loss < best[0]:
                    best = loss, system, penalty, sharpness, outputs
    assert best is not None
    loss, system, penalty, sharpness, outputs = best
    weight, bias = system.solve(penalty)
    head.get_parameter("weight").copy_(sharpness * weight)
    head.get_parameter("bias").copy_(sharpness * bias)
    kind.settle(head, outputs, rows, labels)
    return Solution(head.eval(), outputs, loss)


@dataclass(frozen=True)
class System:
    """States of all rows, then what other heads say of them, less their mean and times a factor, and the
    eigenvectors of their products; aims less their mean."""

    centre: Tensor
    factor: Tensor
    states: Tensor
    values: Tensor
    vectors: Tensor
    mean: Tensor
    aims: Tensor

    @classmethod
    def of(cls, states: Tensor, aims: Tensor, said: Tensor | None = None, voice: float = 0.0) -> "System":
        """From states `(rows, inputs)`, aims `(rows, outputs)`, and what other heads say, `(rows, words)`,
        which counts `voice` times as much as the states."""
        said = states[:, :0] if said is None else said
        x = torch.cat([states, said], 1).double()
        centre = x.mean(0)
        x = x - centre
        loud = (voice * states.shape[1] / max(1, said.shape[1])) ** 0.5
        factor = torch.cat([_factor(x[:, : states.shape[1]]), loud * _factor(x[:, states.shape[1] :])])
        x = x * factor
        values, vectors = torch.linalg.eigh(x @ x.T)
        mean = aims.mean(0)
        return cls(centre, factor, x, values.clamp_min(0.0), vectors, mean, aims - mean)

    def left_out(self, penalty: float) -> Tensor:
        """What each row gets from the solution without it."""
        shares = self.values / (self.values + self.damping(penalty))
        fitted = self.vectors @ (shares[:, None] * (self.vectors.T @ self.aims))
        # The mean is fitted too, and each row has its part in it.
        own = 1 / len(self.aims) + self.vectors.square() @ shares
        missed = (self.aims - fitted) / (1 - own).clamp_min(1e-6)[:, None]
        return self.mean + self.aims - missed

    def solve(self, penalty: float) -> tuple[Tensor, Tensor]:
        """Weight `(outputs, inputs)` and bias for states as they come."""
        rows = self.vectors / (self.values + self.damping(penalty)) @ (self.vectors.T @ self.aims)
        weight = (self.states.T @ rows).T * self.factor
        return weight.float(), (self.mean - weight @ self.centre).float()

    def damping(self, penalty: float) -> float:
        """What is added to each eigenvalue."""
        return penalty * self.values.mean().clamp_min(1e-9).item()


def _factor(x: Tensor) -> Tensor:
    """What columns of mean 0 are multiplied by to be of deviation 1."""
    if not x.shape[1]:
        return x.new_ones(0)
    # What hardly moves is no better known for being blown up.
    deviation = x.square().mean(0).sqrt()
    return 1 / deviation.clamp_min(1e-3 * deviation.mean().clamp_min(1e-9))
