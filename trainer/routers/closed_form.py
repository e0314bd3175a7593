"""Ridge regression on pooled states, solved from sums kept per task: exact, without old rows, in well under a
second.

The router of TT-LoRA MoE is a linear probe in all but name (its task loss has no gradient through a hard
top-1), so it is solved instead of trained. Validation picks the ridge and the temperature.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainer.progress import Progress, silent
from trainer.ridge import fit_ridge
from trainer.routers import Examples, Features, Routing, from_logits

READS = "states"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Ridges to choose from, as shares of a feature's variance."""

    ridges: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0)


class Router(nn.Module):
    """Linear scores over all pooled states."""

    temperature: Tensor

    def __init__(self, config: Config, shape: Sequence[int], slots: int) -> None:
        super().__init__()
        layers, poolings, hidden = shape
        self.linear = nn.Linear(layers * poolings * hidden, slots)
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, features: Features) -> Routing:
        """Softmax of the ridge scores."""
        return from_logits(self.linear(_read(features)) / self.temperature)


def fit(
    config: Config,
    training: Examples,
    validation: Examples,
    slots: int,
    seed: int,
    on_progress: Progress = silent,
) -> Router:
    """Sum each task, solve, keep the ridge that validation likes best. Nothing is random: the seed is not
    used."""
    read = _read(training.features)
    tasks = (read[training.slots == slot] for slot in range(slots))
    found = fit_ridge(tasks, _read(validation.features), validation.slots, config.ridges)
    assert training.features.states is not None
    router = Router(config, training.features.states.shape[1:], slots).requires_grad_(False)
    router.linear.weight.copy_(found.weight)
    router.linear.bias.copy_(found.bias)
    router.temperature.fill_(found.temperature)
    return router.eval()


def _read(features: Features) -> Tensor:
    assert features.states is not None
    return features.states.flatten(1)
