"""Ridge regression on pooled states, solved from sums kept per task: exact, without old rows, in well under a
second.

The router of TT-LoRA MoE is a linear probe in all but name (its task loss has no gradient through a hard
top-1), so it is solved instead of trained. Validation picks the ridge and the temperature.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trainer.progress import Progress, silent
from trainer.ridge import RIDGES, LinearRouter, fit_ridge
from trainer.routers import Examples, Features, Routing

READS = ("states",)
AUTO = True


@dataclass(frozen=True, kw_only=True)
class Config:
    """Ridges to choose from, as shares of a feature's variance, the smallest first."""

    ridges: tuple[float, ...] = RIDGES


class Router(LinearRouter):
    """Linear scores over all pooled states."""

    def __init__(self, config: Config, shape: Sequence[int], slots: int) -> None:
        super().__init__(math.prod(shape), slots)

    def forward(self, features: Features) -> Routing:
        """Softmax of the ridge scores."""
        assert features.states is not None
        return self.score(features.states.flatten(1))


def fit(
    config: Config,
    training: Examples,
    validation: Examples,
    slots: int,
    seed: int,
    on_progress: Progress = silent,
) -> Router:
    """Solve from the sums of the tasks with the ridge that validation likes best. Nothing is random: the seed
    is not used."""
    found = fit_ridge(training.sums(), validation.states.flatten(1), validation.slots, config.ridges)
    return Router(config, validation.shape, slots).freeze(found)
