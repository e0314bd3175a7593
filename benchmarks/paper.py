"""TT-LoRA MoE as its authors run it (arXiv 2504.21190, sections 3.2 to 3.4), written from the paper.

Two passes for each batch: the bare base model's last states go to the gate, then the model runs again with
every expert's cores stacked, multiplied by the one-hot gate and summed, so that each text has its own cores.
They are contracted with the states one after the other (contraction), or multiplied out to a matrix for each
text first (reconstruction). Heads are applied text by text and padded with minus infinity to the largest.

As `published`, experts have eight cores, act in all layers, and are stacked in every forward. Otherwise the
form is spared that: it has the experts, layers and four cores that ours has, stacked once. In both there is
no noise at the gate.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainer.adapters import tt_lora
from trainer.base_model import BaseModel
from trainer.experts import ExpertModule, design
from trainer.tokens import Batch
from trainer.visitors import LAST, Taps, Visitor, pool


class DenseExperts(Visitor):
    """The second pass: all experts' cores at each place, and which expert each text has.

    Attributes:
        gate: `(batch, experts)`, one-hot.
    """

    def __init__(self, modules: Sequence[ExpertModule], *, reconstruct: bool, restack: bool) -> None:
        first = modules[0]
        self.config = tt_lora.Config(**first.architecture.adapter_config)
        self.layouts = {layout.module: layout for layout in first.layouts}
        self.reconstruct, self.restack = reconstruct, restack
        self.gate = torch.empty(0)
        own = [module.values() for module in modules]
        self.apart = {
            layout.module: [
                [values[layout.file_name(name)].detach() for values in own] for name in layout.values
            ]
            for layout in first.layouts
        }
        """By linear layer name and core, each expert's as `(layers, rank, mode, rank)`."""
        self.stacked = {
            module: [] if restack else [torch.stack(core, 1) for core in cores]
            for module, cores in self.apart.items()
        }

    def adapt(self, layer: int, module: str, x: Tensor, output: Tensor) -> Tensor | None:
        """The output with each text's update."""
        layout = self.layouts.get(module)
        if layout is None or layer < layout.first:
            return None
        gate = self.gate[:, :, None, None, None]
        place = layer - layout.first
        if self.restack:
            every = [torch.stack([one[place] for one in core]) for core in self.apart[module]]
        else:
            every = [core[place] for core in self.stacked[module]]
        cores = [(core * gate).sum(1) for core in every]
        inputs = tt_lora.modes(self.config, layout.inputs, layout.outputs)[0]
        update = _reconstructed(x, cores, len(inputs)) if self.reconstruct else _contracted(x, cores, inputs)
        return output + self.config.alpha * update


def _contracted(x: Tensor, cores: Sequence[Tensor], input_modes: Sequence[int]) -> Tensor:
    """States `(batch, length, inputs)` with each text's cores, one after the other."""
    batch, length = x.shape[:2]
    state = x.reshape(batch, length, *input_modes[::-1]).unsqueeze(1)
    for core in cores[: len(input_modes)]:
        state = torch.einsum("br...m,brmp->bp...", state, core)
    for core in cores[len(input_modes) :]:
        state = torch.einsum("br...,brnp->bp...n", state, core)
    return state.reshape(batch, length, -1)


def _reconstructed(x: Tensor, cores: Sequence[Tensor], inputs: int) -> Tensor:
    """The same by a matrix `(inputs, outputs)` for each text."""
    a = cores[0].squeeze(1)
    for core in cores[1:inputs]:
        a = torch.einsum("bir,brds->bdis", a, core).flatten(1, 2)
    dense = a
    for core in cores[inputs:]:
        dense = torch.einsum("bir,brns->bins", dense, core).flatten(1, 2).reshape(len(x), -1, core.shape[-1])
    size = math.prod(core.shape[2] for core in cores[:inputs])
    return x @ dense.reshape(len(x), size, -1)


def published(base: BaseModel, count: int) -> "PaperMoE":
    """Experts of the paper's shapes in all layers but the lowest, whose states ours routes by."""
    plan = design(
        base,
        task_kind="classification",
        labels=("no", "yes"),
        adapter="tt_lora",
        preset="paper",
        rank=None,
        alpha=None,
        first_layer=1,
        max_length=128,
    )
    return PaperMoE(base, [ExpertModule(base, plan, seed).eval() for seed in range(count)], restack=True)


class PaperMoE:
    """Gate, experts and heads over one base model."""

    def __init__(
        self,
        base: BaseModel,
        modules: Sequence[ExpertModule],
        *,
        reconstruct: bool = False,
        restack: bool = False,
    ) -> None:
        self.base = base
        self.experts = DenseExperts(modules, reconstruct=reconstruct, restack=restack)
        self.heads = [module.head for module in modules]
        self.gate = nn.Linear(base.hidden, len(modules), bias=False)
        nn.init.normal_(self.gate.weight, generator=torch.Generator().manual_seed(0))
        self.most = max(len(module.architecture.labels) for module in modules)

    @torch.no_grad()
    def answer(self, batch: Batch) -> Tensor:
        """Logits `(batch, largest number of labels)`."""
        taps = Taps([self.base.layers])
        final = self.base.forward(batch, taps)
        slots = self.gate(pool(final, batch.mask)[:, LAST]).argmax(-1)
        self.experts.gate = nn.functional.one_hot(slots, len(self.heads)).float()
        read = pool(self.base.forward(batch, self.experts), batch.mask)[:, self.base.pooling]
        padded = torch.full((len(read), self.most), -torch.inf)
        for row, slot in enumerate(slots.tolist()):
            logits = self.heads[slot](read[row])
            padded[row, : len(logits)] = logits
        return padded
