"""The rows of a dataset as the base model sees them: computed once, then read by training, routing and
evaluation.

Up to `first_layer` nothing an expert does can change the states, so they depend only on the base model and
the text. One pass over the lower layers gives both the pooled features that routers read and the states from
which an expert trains.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor

from registry.errors import DamagedError
from trainer.base_model import BaseModel
from trainer.inputs import Given, Input
from trainer.progress import Progress, silent
from trainer.spans import spans
from trainer.state_cache import MemoryStates, StateCache, StateFile, StateKey
from trainer.tokens import Batch, Tokens
from trainer.visitors import Taps, Visitor

STATE_BUDGET = 2 << 30
"""Bytes of states kept in memory for one dataset where no cache has room for them; above it, each training
step runs the lower layers again."""

EVALUATION_BATCH = 32

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2}
"""How far final states may be from those of the whole model, as a share of their norm."""

Sink = StateFile | MemoryStates
"""Where new states go."""


def early_layers(first_layer: int) -> tuple[int, ...]:
    """Where one-pass routers read: early layers side by side tell many tasks apart better than any one of
    them."""
    return tuple(sorted({max(1, first_layer // 4), max(1, first_layer // 2), first_layer}))


@dataclass(frozen=True)
class Encoding:
    """Tokens of every row, their pooled states, and, where wanted, the states from which an expert trains.

    Attributes:
        tokens: of each sequence, row after row; counts: how many sequences each row is.
        features: `(rows, layers, 2, hidden)`, the pooled states that enter each of the layers asked for, the
            mean over the row's sequences.
        dtype: number type of `states`: that of the base model's products; features are always float32.
        resume_at: the layer that `states` enter; None where states were not kept.
        states: `(tokens of all sequences, hidden)`; starts: where each sequence's states begin.
        remarks: what a person should know of how they were come by.
    """

    base: BaseModel
    tokens: list[Tokens]
    counts: list[int]
    features: Tensor
    dtype: torch.dtype
    resume_at: int | None
    states: Tensor
    starts: list[int]
    remarks: tuple[str, ...] = ()

    @property
    def cut(self) -> int:
        """How many texts were longer than the limit."""
        return sum(one.cut for one in self.tokens)

    @cached_property
    def sizes(self) -> list[int]:
        """Tokens of each row's longest sequence."""
        return [max(len(self.tokens[place].ids) for place in span) for span in self._spans]

    def sequences(self, rows: Sequence[int]) -> list[int]:
        """The sequences of some rows."""
        return [place for row in rows for place in self._spans[row]]

    def counted(self, rows: Sequence[int]) -> list[int]:
        """How many sequences each of some rows is."""
        return [self.counts[row] for row in rows]

    @cached_property
    def _spans(self) -> list[range]:
        return spans(self.counts)

    def final(self, rows: Sequence[int], visitor: Visitor | None = None) -> tuple[Tensor, Batch]:
        """Final states `(sequences, length, hidden)` and tokens of some rows, with `visitor` at work on the
        way."""
        return final_states([(self, rows)], visitor)

    def entering(self, rows: Sequence[int], length: int) -> Tensor:
        """The kept states of some rows, `(sequences, length, hidden)`, zero where there is padding."""
        sequences = self.sequences(rows)
        starts = torch.tensor([self.starts[place] for place in sequences])
        sizes = torch.tensor([len(self.tokens[place].ids) for place in sequences])
        steps = torch.arange(length)
        padding = steps >= sizes[:, None]
        places = (starts[:, None] + steps).masked_fill(padding, 0)
        found = self.states[places.to(self.states.device)].to(self.base.device, torch.float32)
        return found.masked_fill_(padding.to(self.base.device)[:, :, None], 0.0)


def final_states(
    parts: Sequence[tuple[Encoding, Sequence[int]]], visitor: Visitor | None = None
) -> tuple[Tensor, Batch]:
    """Final states `(sequences, length, hidden)`, and tokens, of rows of one or several datasets
    on the same base model, one part after the other."""
    first = parts[0][0]
    base = first.base
    batch = base.batch([one.tokens[place] for one, rows in parts for place in one.sequences(rows)])
    if first.resume_at is None or any(one.resume_at != first.resume_at for one, _ in parts):
        return base.forward(batch, visitor), batch
    length = batch.ids.shape[1]
    hidden = torch.cat([encoding.entering(rows, length) for encoding, rows in parts])
    return base.forward_from(first.resume_at, hidden, batch, visitor), batch


def encode(
    base: BaseModel,
    inputs: Sequence[Given],
    *,
    layers: Sequence[int],
    max_length: int,
    resume_at: int | None = None,
    state_budget: int = STATE_BUDGET,
    cache: StateCache | None = None,
    dataset_sha256: str = "",
    features: Tensor | None = None,
    tokens: Sequence[Tokens] | None = None,
    form: str = "",
    on_progress: Progress = silent,
) -> Encoding:
    """Run the base model over `inputs` once, as far as the deepest layer asked for; not at all when all that
    is wanted is kept.

    Args:
        layers: whose entering states are pooled; `base.layers` stands for the final states.
        resume_at: keep the states that enter this layer, unless they would not fit or the model cannot go on
            from them.
        state_budget: bytes that these states may take in memory.
        cache: keeps them on disk, as those of the dataset `dataset_sha256`.
        features: the pooled states, where they are known.
        tokens: what is read of each input, one sequence, where that is more than the input; `form` tells such
            readings apart in the cache. Features are then of all of it, unless they are given.
    """
    read = [Input.of(one).sequences for one in inputs]
    counts = [len(own) for own in read]
    tokens = list(tokens or base.tokenize([sequence for own in read for sequence in own], max_length))
    sizes = [len(one.ids) for one in tokens]
    remarks: list[str] = []
    file = sink = None
    if resume_at is not None and cache is not None:
        wanted = StateKey(base.record.fingerprint, dataset_sha256, resume_at, max_length, form)
        file = StateFile(cache, wanted, sizes, base.hidden, base.dtype)
    kept = None if file is None else _kept(file, remarks)
    if kept is None and resume_at is not None and base.can_resume_at(resume_at):
        sink = _sink(file, MemoryStates(sizes, base.hidden, base.dtype), state_budget, remarks)
    if kept is None or features is None:
        pooled = _read(base, tokens, counts, layers, resume_at, sink, on_progress)
        features = pooled if features is None else features
    states = kept if sink is None else sink.end()
    found = Encoding(
        base=base,
        tokens=tokens,
        counts=counts,
        features=features,
        dtype=base.dtype,
        resume_at=None if states is None else resume_at,
        states=torch.empty(0, base.hidden) if states is None else _nearest(states, base.device),
        starts=[0, *accumulate(sizes)][:-1],
        remarks=tuple(remarks),
    )
    return found if sink is None else _proved(found, sink)


def _proved(found: Encoding, sink: Sink) -> Encoding:
    """With its new states kept, if the model can go on from them; else without any."""
    if agrees(found):
        sink.publish()
        return found
    sink.discard()
    return replace(found, resume_at=None, states=torch.empty(0, found.base.hidden))


def agrees(encoding: Encoding) -> bool:
    """Whether going on from the kept states gives the final states of the whole model, tried on the
    shortest row, the longest, and one between."""
    order = sorted(range(len(encoding.sizes)), key=lambda row: encoding.sizes[row])
    rows = [order[0], order[len(order) // 2], order[-1]]
    with torch.no_grad():
        upper, batch = encoding.final(rows)
        whole, _ = replace(encoding, resume_at=None).final(rows)
    kept = batch.mask.bool()
    distance = (upper[kept] - whole[kept]).norm() / whole[kept].norm()
    return distance.item() <= TOLERANCE[encoding.dtype]


def _kept(file: StateFile, remarks: list[str]) -> Tensor | None:
    try:
        return file.read()
    except DamagedError as reason:
        remarks.append(f"{reason} They are computed again.")
        return None


def _sink(file: StateFile | None, memory: MemoryStates, budget: int, remarks: list[str]) -> Sink | None:
    """On disk, else in memory, else nowhere, which is remarked."""
    if file is not None and file.begin():
        return file
    if memory.size <= budget:
        memory.begin()
        return memory
    remarks.append(
        f"The hidden states of these rows take {memory.size / 2**30:.1f} GiB, and there is no room for them: "
        "each epoch runs all layers. REGISTRY_STATES_GIB sets the room"
    )
    return None


def _read(
    base: BaseModel,
    tokens: Sequence[Tokens],
    counts: Sequence[int],
    layers: Sequence[int],
    resume_at: int | None,
    sink: Sink | None,
    on_progress: Progress,
) -> Tensor:
    """One pass over all rows: gives their features; the states that enter `resume_at` go into `sink`."""
    features = torch.zeros(len(counts), len(layers), 2, base.hidden)
    parts = torch.tensor(counts)
    owners = torch.arange(len(counts)).repeat_interleave(parts)
    watched = {*layers} if sink is None or resume_at is None else {*layers, resume_at}
    done = 0
    try:
        for rows in by_length([len(one.ids) for one in tokens], EVALUATION_BATCH):
            batch, taps = base.batch([tokens[row] for row in rows]), Taps(watched)
            with torch.no_grad():
                base.forward_to(max(watched), batch, taps)
            own = owners[rows]
            features.index_add_(0, own, taps.pooled(layers, batch.mask).cpu() / parts[own].view(-1, 1, 1, 1))
            if sink is not None and resume_at is not None:
                for row, states in zip(rows, taps.states[resume_at].cpu(), strict=True):
                    sink.put(row, states[: len(tokens[row].ids)])
            done += len(rows)
            on_progress("reading texts", done, len(tokens), "")
    except BaseException:
        if sink is not None:
            sink.discard()
        raise
    return features


def _nearest(states: Tensor, device: torch.device) -> Tensor:
    """On a GPU with much more room than they take, the states themselves."""
    if device.type != "cuda" or states.nbytes * 4 > torch.cuda.mem_get_info(device)[0]:
        return states
    return states.to(device)


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
