"""Ridge regression on hashed words and word pairs: never runs the model. The baseline every other router must
beat."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise

import torch
from torch import Tensor

from trainer.progress import Progress, silent
from trainer.ridge import LinearRouter, fit_ridge
from trainer.routers import Examples, Features, Routing

READS = "text"
WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Number of hash buckets, and the ridges to choose from, as shares of a bucket's mean variance."""

    buckets: int = 4096
    ridges: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0)


class Router(LinearRouter):
    """Linear scores over hashed word counts."""

    def __init__(self, config: Config, shape: Sequence[int], slots: int) -> None:
        super().__init__(config.buckets, slots)

    def forward(self, features: Features) -> Routing:
        """Softmax of the ridge scores."""
        counts = count_words(features.texts, self.linear.in_features)
        return self.score(counts.to(self.linear.weight.device))


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
    counts = count_words(training.features.texts, config.buckets)
    tasks = (counts[training.slots == slot] for slot in range(slots))
    held_out = count_words(validation.features.texts, config.buckets)
    found = fit_ridge(tasks, held_out, validation.slots, config.ridges, standardise=False)
    return Router(config, (), slots).freeze(found)


def count_words(texts: Sequence[str], buckets: int) -> Tensor:
    """Square roots of hashed counts of words and neighbouring pairs, `(texts, buckets)`, each row of unit
    length."""
    counts = torch.zeros(len(texts), buckets)
    for row, text in enumerate(texts):
        words = WORD.findall(text.casefold())
        for gram in [*words, *(f"{a} {b}" for a, b in pairwise(words))]:
            counts[row, int.from_bytes(blake2b(gram.encode(), digest_size=4).digest()) % buckets] += 1
    counts = counts.sqrt()
    return counts / counts.norm(dim=1, keepdim=True).clamp_min(1e-12)
