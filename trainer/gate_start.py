"""Where a gate begins to learn: with the tokens of each expert's own rows told apart, as a ridge regression
tells them.

From equal shares a gate would have to find out by the loss alone which expert helps where, which takes most
of its steps. Which rows each expert was made from is on record.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from registry import Expert, Registry
from trainer.base_model import BaseModel
from trainer.data import Row
from trainer.dataset_features import inputs, rows_of
from trainer.encoding import EVALUATION_BATCH, by_length
from trainer.experts import ExpertModule
from trainer.gates.soft_token import Router
from trainer.prompts import read_rows
from trainer.ridge import RIDGES, fit_ridge
from trainer.sums import RidgeSums, TaskSums
from trainer.tokens import Tokens
from trainer.visitors import Taps

ROWS = {"train": 48, "validation": 16}
"""Read of each expert, those of validation to choose the ridge and how sharp the shares are."""

TOKENS = {"train": 2048, "validation": 1024}
"""Of these rows at most: at all layers of the gate those of train are in memory for one expert at a time,
those of validation for all."""


def start(
    router: Router,
    layers: Sequence[int],
    registry: Registry,
    base: BaseModel,
    members: Sequence[tuple[Expert, ExpertModule]],
) -> None:
    """Set a gate, on the device of the base model, to tell whose rows each token may be of.

    Args:
        layers: those whose entering states the gate reads; members: in slot order.
    """
    sums = [RidgeSums() for _ in layers]
    held_out: list[Tensor] = []
    for expert, member in members:
        rows = rows_of(registry, registry.dataset(expert.task, expert.dataset), expert.kind).rows
        for own, states in zip(sums, _states(router, layers, base, member, rows, "train"), strict=True):
            own.add(TaskSums.of(states))
        held_out.append(_states(router, layers, base, member, rows, "validation"))
    slots = torch.arange(len(held_out)).repeat_interleave(torch.tensor([each.shape[1] for each in held_out]))
    for place, own in enumerate(sums):
        found = fit_ridge(own, torch.cat([each[place] for each in held_out]), slots, RIDGES)
        router.begin(place, found.weight / found.temperature, found.bias / found.temperature)


@torch.no_grad()
def _states(
    router: Router,
    layers: Sequence[int],
    base: BaseModel,
    member: ExpertModule,
    rows: Iterable[Row],
    split: str,
) -> Tensor:
    """What the gate reads of the tokens of some rows of a split, `(layers, tokens, hidden)`, on the CPU."""
    own = [row for row in rows if row.split == split][: ROWS[split]]
    tokens = _read(base, member, own)
    found: list[Tensor] = []
    for places in by_length([len(one.ids) for one in tokens], EVALUATION_BATCH):
        batch, taps = base.batch([tokens[place] for place in places]), Taps(layers)
        base.forward_to(max(layers), batch, taps)
        real = batch.mask.bool()
        found.append(torch.stack([router.normal(taps.states[layer][real]) for layer in layers]).cpu())
    states = torch.cat(found, 1)
    count = min(TOKENS[split], states.shape[1])
    return states[:, torch.arange(count) * states.shape[1] // count]


def _read(base: BaseModel, member: ExpertModule, rows: Sequence[Row]) -> list[Tokens]:
    """The sequences of rows as the expert learnt them."""
    written = read_rows(base, member.architecture, rows)
    sequences = [one for each in inputs(rows) for one in each.sequences]
    return written or base.tokenize(sequences, member.architecture.max_length)
