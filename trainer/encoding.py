"""The rows of a dataset as the base model sees them: computed once, then read by training, routing and
evaluation.

Up to `first_layer` nothing an expert does can change the states, so they depend only on the base model and
the text. One pass over the lower layers gives both the pooled features that routers read and the states from
which an expert trains.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from trainer.base_model import BaseModel, Batch, Text, Tokens
from trainer.progress import Progress, silent
from trainer.visitors import Taps, Visitor

STATE_BUDGET = 2 << 30
"""Bytes of states kept in memory for one dataset; above it, each training step runs the lower layers
again."""

EVALUATION_BATCH = 32


def early_layers(first_layer: int) -> tuple[int, ...]:
    """Where one-pass routers read: early layers side by side tell many tasks apart better than any one of
    them."""
    return tuple(sorted({max(1, first_layer // 4), max(1, first_layer // 2), first_layer}))


@dataclass
class Encoding:
    """Tokens of every row, their pooled states, and, where wanted, the states from which an expert trains.

    Attributes:
        features: `(rows, layers, 2, hidden)`, the pooled states that enter each of the layers asked for.
        resume_at: the layer that `states` enter; None where states were not kept.
        states: `(tokens of all rows, hidden)`, row after row; starts: where each row's states begin.
    """

    base: BaseModel
    tokens: list[Tokens]
    features: Tensor
    resume_at: int | None
    states: Tensor
    starts: list[int]

    @property
    def cut(self) -> int:
        """How many texts were longer than the limit."""
        return sum(one.cut for one in self.tokens)

    def final(self, rows: Sequence[int], visitor: Visitor | None = None) -> tuple[Tensor, Tensor]:
        """Final states `(batch, length, hidden)` and mask of some rows, with `visitor` at work on the way."""
        batch = self.base.batch([self.tokens[row] for row in rows])
        if self.resume_at is None:
            return self.base.forward(batch, visitor), batch.mask
        return self.base.forward_from(self.resume_at, self._padded(rows, batch), batch, visitor), batch.mask

    def _padded(self, rows: Sequence[int], batch: Batch) -> Tensor:
        hidden = self.states.new_zeros(*batch.ids.shape, self.base.hidden)
        for place, row in enumerate(rows):
            size = len(self.tokens[row].ids)
            hidden[place, :size] = self.states[self.starts[row] : self.starts[row] + size]
        return hidden.to(self.base.device)


def encode(
    base: BaseModel,
    texts: Sequence[Text],
    *,
    layers: Sequence[int],
    max_length: int,
    resume_at: int | None = None,
    state_budget: int = STATE_BUDGET,
    on_progress: Progress = silent,
) -> Encoding:
    """Run the base model over `texts` once, as far as the deepest layer asked for.

    Args:
        layers: whose entering states are pooled; `base.layers` stands for the final states.
        resume_at: keep the states that enter this layer, unless they would not fit or the model cannot go on
            from them.
        state_budget: bytes that these states may take.
    """
    tokens = base.tokenize(texts, max_length)
    sizes = [len(one.ids) for one in tokens]
    if resume_at is not None and not (
        sum(sizes) * base.hidden * torch.float32.itemsize <= state_budget and base.can_resume_at(resume_at)
    ):
        resume_at = None
    watched = {*layers} if resume_at is None else {*layers, resume_at}
    starts = [0, *accumulate(sizes)][:-1]
    states = torch.empty(0 if resume_at is None else sum(sizes), base.hidden)
    features = torch.empty(len(tokens), len(layers), 2, base.hidden)
    done = 0
    with torch.no_grad():
        for rows in by_length(sizes, EVALUATION_BATCH):
            batch, taps = base.batch([tokens[row] for row in rows]), Taps(watched)
            base.forward_to(max(watched), batch, taps)
            features[rows] = taps.pooled(layers, batch.mask).cpu()
            if resume_at is not None:
                for place, row in enumerate(rows):
                    kept = taps.states[resume_at][place, : sizes[row]]
                    states[starts[row] : starts[row] + sizes[row]] = kept.cpu()
            done += len(rows)
            on_progress("reading texts", done, len(tokens), "")
    return Encoding(base, tokens, features, resume_at, states, starts)


def by_length(sizes: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Row numbers in batches of about equal length, so that little is spent on padding. Longest first."""
    order = sorted(range(len(sizes)), key=lambda row: -sizes[row])
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def shuffled_by_length(sizes: Sequence[int], batch_size: int, generator: torch.Generator) -> list[list[int]]:
    """Random batches of about equal length: rows are shuffled, sorted within windows of 16 batches, batches
    shuffled."""
    order = torch.randperm(len(sizes), generator=generator).tolist()
    window = 16 * batch_size
    batches = []
    for start in range(0, len(order), window):
        rows = sorted(order[start : start + window], key=lambda row: sizes[row])
        batches += [rows[at : at + batch_size] for at in range(0, len(rows), batch_size)]
    return [batches[place] for place in torch.randperm(len(batches), generator=generator).tolist()]
