"""The weight of a head taken apart by what it reads: so heads are added up that read different states."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from trainer.base_model import BaseModel
from trainer.experts import ExpertModule
from trainer.layouts import Architecture

Blocks = Mapping[tuple[int, int], Tensor]
"""`(outputs, hidden)` for each layer whose entering states are read, the number of layers standing for the
final states, and place among what `trainer.visitors.pool` gives."""


def apart(architecture: Architecture, weight: Tensor, final: int) -> Blocks:
    """The blocks of an expert's head; final: the number of layers."""
    if not architecture.head_layers:
        return {(final, architecture.pooling): weight}
    each = weight.unflatten(1, (len(architecture.head_layers), 2, -1))
    return {
        (layer, pooling): each[:, place, pooling]
        for place, layer in enumerate(architecture.head_layers)
        for pooling in range(2)
    }


def together(blocks: Blocks, final: int) -> tuple[tuple[int, ...], int, Tensor]:
    """`head_layers`, `pooling` and weight of the smallest head that has these blocks."""
    (layer, pooling), weight = next(iter(blocks.items()))
    if len(blocks) == 1 and layer == final:
        return (), pooling, weight
    layers = tuple(sorted({layer for layer, _ in blocks}))
    joined = weight.new_zeros(len(weight), len(layers), 2, weight.shape[1])
    for (layer, place), own in blocks.items():
        joined[:, layers.index(layer), place] = own
    return layers, pooling, joined.flatten(1)


def give_head(module: ExpertModule, blocks: Blocks, solved: nn.Module, base: BaseModel) -> None:
    """Let an expert read with these blocks; all else is as in a head that was solved."""
    layers, pooling, weight = together(blocks, base.layers)
    module.architecture = replace(module.architecture, head_layers=layers, pooling=pooling)
    head: nn.Module = module.kind.head(weight.shape[1], module.architecture.labels)
    head.load_state_dict({**solved.state_dict(), "weight": weight})
    module.head = head.eval().requires_grad_(False).to(base.device)


def words(blocks: Blocks, states: Mapping[int, Tensor]) -> Tensor:
    """What a head says, `(rows, outputs)`, but for its bias; states are pooled, `(rows, 2, hidden)`."""
    return torch.stack([states[layer][:, place] @ own.T for (layer, place), own in blocks.items()]).sum(0)
