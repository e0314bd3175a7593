"""Naive Bayes on hashed character trigrams: counts and nothing else, never runs the model.

How a task's texts are written, down to punctuation, brackets and the fields of a template, tells it from
others where what they are about does not.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.progress import Progress, silent
from trainer.ridge import better
from trainer.routers import Examples, Features, Routing, best_temperature, from_logits

READS = ("text",)
AUTO = True
CHUNK = 4096
"""Texts that are counted together."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Number of hash buckets, and what to choose from to add to each count."""

    buckets: int = 8192
    smoothings: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1)


class Router(nn.Module):
    """How much likelier each bucket is under each expert than under all: `(buckets, slots)`."""

    temperature: Tensor

    def __init__(self, config: Config, shape: Sequence[int], slots: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(config.buckets, slots))
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, features: Features) -> Routing:
        """Softmax of the sharpened log-likelihoods of the texts."""
        assert features.texts is not None
        return from_logits(likelihoods(features.texts, self.weight) / self.temperature)


def fit(
    config: Config,
    training: Examples,
    validation: Examples,
    slots: int,
    seed: int,
    on_progress: Progress = silent,
) -> Router:
    """Count the trigrams of each task, and add to the counts what validation likes best. Nothing is random:
    the seed is not used."""
    router, best = Router(config, (), slots), None
    counts = count(training, slots, config.buckets, on_progress)
    held_out = [*counted(validation.texts, config.buckets)]
    for smoothing in config.smoothings:
        weight = ratios(counts, smoothing)
        logits = _weighed(held_out, weight)
        if best is None or better(logits, best, validation.slots):
            best = logits
            router.weight.data.copy_(weight)
    assert best is not None
    router.temperature.fill_(best_temperature(best, validation.slots))
    return router.requires_grad_(False).eval()


def likelihoods(texts: Sequence[str], weight: Tensor) -> Tensor:
    """The log-likelihood of each text under each expert, less that under all of them, `(texts, slots)`."""
    return _weighed(counted(texts, len(weight)), weight)


def _weighed(chunks: Iterable[tuple[int, "Counted"]], weight: Tensor) -> Tensor:
    found = [weight.new_zeros(0, weight.shape[1])]
    for _, one in chunks:
        columns, offsets, values = (each.to(weight.device) for each in (one.columns, one.offsets, one.values))
        found.append(
            functional.embedding_bag(columns, weight, offsets, mode="sum", per_sample_weights=values)
        )
    return torch.cat(found)


def ratios(counts: Tensor, smoothing: float) -> Tensor:
    """The logarithm of each bucket's probability in each task, less that of its mean over the tasks."""
    shares = (counts + smoothing) / (counts + smoothing).sum(0)
    return (shares.log() - shares.mean(1, keepdim=True).log()).float()


def count(training: Examples, slots: int, buckets: int, on_progress: Progress = silent) -> Tensor:
    """Of each task, the sum over its texts, `(buckets, slots)`."""
    sums = torch.zeros(buckets * slots, dtype=torch.float64)
    for start, one in counted(training.texts, buckets):
        sizes = torch.diff(one.offsets, append=torch.tensor([len(one.columns)]))
        owners = training.slots[start : start + len(sizes)].repeat_interleave(sizes)
        sums.index_add_(0, one.columns * slots + owners, one.values.double())
        on_progress("counting trigrams", start + len(sizes), len(training), "")
    return sums.view(buckets, slots)


@dataclass(frozen=True)
class Counted:
    """The buckets that occur in texts, one text after the other, and how much each counts: square roots of
    counts, each text of unit length. `offsets (texts,)`: where each text begins."""

    columns: Tensor
    values: Tensor
    offsets: Tensor


def counted(texts: Sequence[str], buckets: int) -> Iterator[tuple[int, Counted]]:
    """The trigrams of texts, ends of the text among them, in chunks; with each the number of its first."""
    for start in range(0, len(texts), CHUNK):
        padded = [f" {text.casefold()} " for text in texts[start : start + CHUNK]]
        codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32)
        rows = np.arange(len(padded)).repeat([len(text) - 2 for text in padded])
        # A text has two characters more than trigrams.
        first = np.arange(len(rows)) + 2 * rows
        grams = [codes[first + step].astype(np.uint64) << np.uint64(21 * step) for step in range(3)]
        places = rows * buckets + (_mixed(grams[0] | grams[1] | grams[2]) % np.uint64(buckets)).astype(int)
        found, counts = np.unique(places, return_counts=True)
        rows, counts = found // buckets, counts.astype(np.float32)
        whole = np.bincount(rows, counts, minlength=len(padded))
        yield (
            start,
            Counted(
                torch.from_numpy(found % buckets),
                torch.from_numpy(np.sqrt(counts / whole[rows]).astype(np.float32)),
                torch.from_numpy(np.searchsorted(rows, np.arange(len(padded)))),
            ),
        )


def _mixed(keys: np.ndarray) -> np.ndarray:
    """Spread over all bits (the finaliser of SplitMix64), so that neighbours in Unicode share no bucket."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        keys = (keys ^ (keys >> np.uint64(shift))) * np.uint64(factor)
    return keys ^ (keys >> np.uint64(31))
