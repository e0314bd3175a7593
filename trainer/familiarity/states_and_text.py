"""How far the states of a text are from a task, and how unlike the task's its character trigrams are, added.

The first is the distance of `states`. The second is the logarithm of how much likelier the trigrams are in
the tasks on average than in this one (a likelihood ratio under Naive Bayes): states change little where a
text of a known subject is written as no known task writes, and trigrams notice. Each is divided by how much
it varies on validation rows from the task nearest to each, so that neither drowns the other.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainer.familiarity import states
from trainer.routers import Examples, Features, Routing, read, trigrams

BUCKETS = 4096
SMOOTHING = 0.001
"""Added to each count: less than routers like, so that a trigram which a task has never seen says much."""
TAILS = 0.1
"""Of the validation rows at each end, which do not count for how much a distance varies."""


class Score(nn.Module):
    """The sum of both, in units of their spreads."""

    weight: Tensor
    spreads: Tensor

    def __init__(self, shape: Sequence[int], slots: int) -> None:
        super().__init__()
        self.states = states.Score(shape, slots)
        self.register_buffer("weight", torch.zeros(BUCKETS, slots))
        self.register_buffer("spreads", torch.ones(2))

    def forward(self, features: Features, routing: Routing) -> Tensor:
        """The distance from each task, `(batch, slots)`."""
        by_states, by_trigrams = self.told(features)
        return by_states / self.spreads[0] + by_trigrams / self.spreads[1]

    def told(self, features: Features) -> tuple[Tensor, Tensor]:
        """The distance from each task by states and by trigrams, `(batch, slots)` each."""
        assert features.texts is not None
        return self.states.distances(features), -trigrams.likelihoods(features.texts, self.weight)


def fit(training: Examples, validation: Examples, slots: int) -> Score:
    """From the sums and the counts of the tasks; validation tells the spreads."""
    score = Score(training.shape, slots)
    score.states = states.fit(training, validation, slots)
    score.weight.copy_(trigrams.ratios(trigrams.count(training, slots, BUCKETS), SMOOTHING))
    for place, one in enumerate(score.told(read(validation, ("states", "text")))):
        low, high = one.amin(-1).double().quantile(torch.tensor([TAILS, 1 - TAILS], dtype=torch.float64))
        score.spreads[place] = (high - low).clamp_min(1e-6)
    return score.eval().requires_grad_(False)
