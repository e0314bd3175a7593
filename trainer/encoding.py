"""The rows of a dataset as the base model sees them: computed once, then read by training, routing and evaluation.

Up to `first_layer` nothing an expert does can change the states, so they depend only on the base model and the text.
One pass over the lower layers gives both the pooled features that routers read and the states from which an expert trains.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.base_model import BaseModel, Batch, Taps, Text, Tokens, Visitor, pool
from trainer.progress import Progress, silent

STATE_BUDGET = 2 << 30
"""Bytes of states kept in memory for one dataset; above it, each training step runs the lower layers again."""

EVALUATION_BATCH = 32


def router_layers(first_layer: int) -> tuple[int, ...]:
    """The layers whose pooled states routers read: early ones side by side tell many tasks apart better than one."""
    return tuple(sorted({max(1, first_layer // 4), max(1, first_layer // 2), first_layer}))


@dataclass
class Encoding:
    """Tokens of every row, and, where they fit, the states that enter `first_layer`.

    Attributes:
        states: `(tokens of all rows, hidden)`, row after row; None where they would not fit.
        starts: where each row's states begin.
        features: `(rows, layers, 2, hidden)`, the pooled states at `router_layers(first_layer)`.
    """

    base: BaseModel
    tokens: list[Tokens]
    first_layer: int
    states: Tensor | None
    starts: list[int]
    features: Tensor

    @property
    def cut(self) -> int:
        """How many texts were longer than the limit."""
        return sum(one.cut for one in self.tokens)

    def final(self, rows: Sequence[int], visitor: Visitor | None = None) -> tuple[Tensor, Tensor]:
        """Final states `(batch, length, hidden)` and mask of some rows, with `visitor` at work from `first_layer` on."""
        batch = self.base.batch([self.tokens[row] for row in rows])
        if self.states is None:
            return self.base.forward(batch, visitor), batch.mask
        return self.base.forward_from(self.first_layer, self._padded(rows, batch), batch, visitor), batch.mask

    def _padded(self, rows: Sequence[int], batch: Batch) -> Tensor:
        assert self.states is not None
        hidden = self.states.new_zeros(*batch.ids.shape, self.base.hidden)
        for place, row in enumerate(rows):
            size = len(self.tokens[row].ids)
            hidden[place, :size] = self.states[self.starts[row] : self.starts[row] + size]
        return hidden.to(self.base.device)


def encode(
    base: BaseModel,
    texts: Sequence[Text],
    *,
    first_layer: int,
    max_length: int,
    keep_states: bool = True,
    on_progress: Progress = silent,
) -> Encoding:
    """Run the lower layers over `texts` once."""
    tokens = base.tokenize(texts, max_length)
    sizes = [len(one.ids) for one in tokens]
    starts = [sum_before for sum_before in _running_sum(sizes)]
    fits = sum(sizes) * base.hidden * 4 <= STATE_BUDGET
    keep = keep_states and fits and base.can_resume_at(first_layer)
    states = torch.empty(sum(sizes), base.hidden) if keep else None
    wanted = router_layers(first_layer)
    features = torch.empty(len(tokens), len(wanted), 2, base.hidden)
    done = 0
    with torch.no_grad():
        for rows in by_length(sizes, EVALUATION_BATCH):
            batch, taps = base.batch([tokens[row] for row in rows]), Taps(wanted)
            base.forward_to(first_layer, batch, taps)
            features[rows] = torch.stack([pool(taps.states[layer], batch.mask) for layer in wanted], 1).cpu()
            if states is not None:
                for place, row in enumerate(rows):
                    kept = taps.states[first_layer][place, : sizes[row]]
                    states[starts[row] : starts[row] + sizes[row]] = kept.cpu()
            done += len(rows)
            on_progress("reading texts", done, len(tokens), "")
    return Encoding(base, tokens, first_layer, states, starts, features)


def by_length(sizes: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Row numbers in batches of about equal length, so that little is spent on padding. Longest first."""
    order = sorted(range(len(sizes)), key=lambda row: -sizes[row])
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def shuffled_by_length(sizes: Sequence[int], batch_size: int, generator: torch.Generator) -> list[list[int]]:
    """Random batches of about equal length: rows are shuffled, sorted within windows of 16 batches, batches shuffled."""
    order = torch.randperm(len(sizes), generator=generator).tolist()
    window = 16 * batch_size
    batches = []
    for start in range(0, len(order), window):
        rows = sorted(order[start : start + window], key=lambda row: sizes[row])
        batches += [rows[at : at + batch_size] for at in range(0, len(rows), batch_size)]
    return [batches[place] for place in torch.randperm(len(batches), generator=generator).tolist()]


def _running_sum(sizes: Sequence[int]) -> Iterator[int]:
    total = 0
    for size in sizes:
        yield total
        total += size
