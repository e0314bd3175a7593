"""Ridge regression on hashed words and word pairs: never runs the model. The baseline every other router must
beat."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import pairwise

import torch
from torch import Tensor

from trainer.progress import Progress, silent
from trainer.ridge import LinearRouter, fit_ridge
from trainer.routers import Examples, Features, Routing
from trainer.sums import STRIP, RidgeSums, packed_size, strips

READS = ("text",)
AUTO = False
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
        assert features.texts is not None
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
    counted = Counted.of(training.texts, config.buckets)
    # A bucket without a word has no weight, so only the others are solved.
    occurring = counted.columns.unique()
    width = len(occurring)
    found = fit_ridge(
        counted.keep(occurring).sums(training.slots, slots),
        count_words(validation.texts, config.buckets)[:, occurring],
        validation.slots,
        [ridge * width / config.buckets for ridge in config.ridges],
        standardise=False,
    )
    weight = torch.zeros(slots, config.buckets, dtype=torch.float64)
    weight[:, occurring] = found.weight
    return Router(config, (), slots).freeze(replace(found, weight=weight))


def count_words(texts: Sequence[str], buckets: int) -> Tensor:
    """Square roots of hashed counts of words and neighbouring pairs, `(texts, buckets)`, each row of unit
    length."""
    return Counted.of(texts, buckets).dense()


@dataclass(frozen=True)
class Counted:
    """What `count_words` gives, without the zeros: row and column of each value."""

    shape: tuple[int, int]
    rows: Tensor
    columns: Tensor
    values: Tensor

    @classmethod
    def of(cls, texts: Sequence[str], buckets: int) -> "Counted":
        """Count texts."""
        known: dict[str, int] = {}
        places = []
        for row, text in enumerate(texts):
            words = WORD.findall(text.casefold())
            for gram in [*words, *(f"{a} {b}" for a, b in pairwise(words))]:
                bucket = known.get(gram)
                if bucket is None:
                    bucket = known[gram] = _bucket(gram, buckets)
                places.append(row * buckets + bucket)
        found, counts = torch.tensor(places, dtype=torch.long).unique(return_counts=True)
        rows, values = found // buckets, counts.float().sqrt()
        squares = torch.zeros(len(texts)).index_add_(0, rows, counts.float())
        return cls((len(texts), buckets), rows, found % buckets, values / squares.sqrt()[rows])

    def keep(self, columns: Tensor) -> "Counted":
        """Without all columns but these, in ascending order, which hold all values."""
        found = torch.searchsorted(columns, self.columns)
        return Counted((self.shape[0], len(columns)), self.rows, found, self.values)

    def dense(self) -> Tensor:
        """With the zeros."""
        found = torch.zeros(self.shape)
        found[self.rows, self.columns] = self.values
        return found

    def sums(self, slots: Tensor, count: int) -> RidgeSums:
        """The sums of the rows of each slot: sparse, since a text holds few of all words."""
        width = self.shape[1]
        share = 1 / torch.bincount(slots, minlength=count).double()[slots[self.rows]]
        values = self.values.double()
        means = torch.zeros(count, width, dtype=torch.float64)
        means.index_put_((slots[self.rows], self.columns), values * share, accumulate=True)
        gram = torch.empty(packed_size(width), dtype=torch.float64)
        ends = torch.bincount(self.rows, minlength=self.shape[0]).cumsum(0)[self.rows]
        by_column = self.columns.argsort(stable=True)
        edges = torch.searchsorted(self.columns[by_column], torch.arange(0, width + STRIP, STRIP)).tolist()
        for (start, strip), first, last in zip(strips(gram, width), edges, edges[1:], strict=False):
            left = by_column[first:last]
            # Each value with itself and those after it in its row: the part right of the diagonal.
            partners = ends[left] - left
            one = left.repeat_interleave(partners)
            skipped = (left - partners.cumsum(0) + partners).repeat_interleave(partners)
            other = torch.arange(len(one)) + skipped
            at = (self.columns[one] - start) * strip.shape[1] + self.columns[other] - start
            products = (values * share)[one] * values[other]
            strip.copy_(torch.bincount(at, products, minlength=strip.numel()).view(strip.shape))
            corner = strip[:, : len(strip)]
            corner += corner.triu(1).T
        return RidgeSums(means, gram, torch.zeros_like(gram))


def _bucket(gram: str, buckets: int) -> int:
    return int.from_bytes(blake2b(gram.encode("utf-8", "surrogatepass"), digest_size=4).digest()) % buckets
