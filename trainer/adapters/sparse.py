"""Sparse adapters: of the update of a linear layer only some blocks are not zero (arXiv 2507.07140).

Which blocks is found before training by connection sensitivity, as in SNIP (arXiv 1810.02340): those whose
weights the loss depends on most, `sum |weight * gradient|` over the block. Only their values are trained.
Decision 24 says why blocks, and why once.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from registry.errors import InvalidSettingError
from trainer.adapters import ATTENTION, check_rank, refuse_presets

LEARNING_RATE = 8e-3
TARGETS = ATTENTION
FORM = "blocks"
LINEAR = True
LOOKS = 8


@dataclass(frozen=True, kw_only=True)
class Config:
    """How many values, in blocks of which size."""

    rank: int = 8
    """As many values as a LoRA of this rank has, to the nearest whole block."""
    alpha: float = 1.0
    """Multiplies the update."""
    block: int = 16
    """Inputs, and outputs, of one block; a layer that is smaller has blocks as large as itself."""

    def __post_init__(self) -> None:
        """Refuse blocks of nothing."""
        if self.block < 1:
            raise InvalidSettingError(f"block {self.block} is too small: choose 1 or more")


def configure(*, rank: int | None = None, alpha: float | None = None, preset: str = "default") -> Config:
    """Rank 8 and alpha 1 unless given."""
    refuse_presets("sparse", preset)
    return Config(rank=8 if rank is None else rank, alpha=1.0 if alpha is None else alpha)


def parts(config: Config, inputs: int, outputs: int, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The blocks, alpha folded in, and where they begin."""
    return {**values, "values": config.alpha * values["values"]}


def choose(
    config: Config, values: Mapping[str, Tensor], weight: Tensor, gradient: Tensor
) -> dict[str, Tensor]:
    """The blocks that the loss depends on most, of all layers alike; the earliest of equals."""
    count, height, width = values["values"].shape[1:]
    rows, columns = _grid(config, *weight.shape[1:])
    felt = (weight * gradient).abs()
    at = _places(rows, height)[:, None, :, None], _places(columns, width)[None, :, None, :]
    scores = felt[:, *at].sum((-2, -1)).flatten(1)
    best = scores.argsort(dim=1, descending=True, stable=True)[:, :count].sort(dim=1).values
    return {**values, "rows": rows[best // len(columns)], "columns": columns[best % len(columns)]}


class Adapter(nn.Module):
    """The blocks of one linear layer, all zero, at places drawn at random.

    Raises:
        InvalidSettingError: a rank below 1 or above what the layer can carry.
    """

    rows: Tensor
    columns: Tensor

    def __init__(
        self, config: Config, inputs: int, outputs: int, generator: torch.Generator, name: str
    ) -> None:
        super().__init__()
        check_rank(config.rank, inputs, outputs, name)
        self.config, self.size = config, (inputs, outputs)
        rows, columns = _grid(config, inputs, outputs)
        height, width = min(config.block, inputs), min(config.block, outputs)
        wanted = round(config.rank * (inputs + outputs) / (height * width))
        places = torch.randperm(len(rows) * len(columns), generator=generator)
        chosen = places[: max(1, wanted)].sort().values
        self.values = nn.Parameter(torch.zeros(len(chosen), height, width))
        self.register_buffer("rows", rows[chosen // len(columns)])
        self.register_buffer("columns", columns[chosen % len(columns)])

    def forward(self, x: Tensor, output: Tensor) -> Tensor:
        """The output of a layer with the update added, block after block."""
        height, width = self.values.shape[1:]
        update = torch.zeros_like(output)
        for block, row, column in zip(self.values, self.rows.tolist(), self.columns.tolist(), strict=True):
            own = x[..., row : row + height] @ block
            update = update + nn.functional.pad(own, (column, output.shape[-1] - column - width))
        return output + self.config.alpha * update

    def dense(self) -> Tensor:
        """The update as a matrix `(inputs, outputs)`."""
        rows = _places(self.rows, self.values.shape[1])[:, :, None]
        columns = _places(self.columns, self.values.shape[2])[:, None, :]
        empty = self.values.new_zeros(self.size)
        return empty.index_put((rows, columns), self.config.alpha * self.values, accumulate=True)


def _grid(config: Config, inputs: int, outputs: int) -> tuple[Tensor, Tensor]:
    """Where blocks may begin: side by side, the last ones moved back to end with the layer."""

    def starts(size: int) -> Tensor:
        block = min(config.block, size)
        return (block * torch.arange(math.ceil(size / block))).clamp_max(size - block)

    return starts(inputs), starts(outputs)


def _places(starts: Tensor, size: int) -> Tensor:
    return starts[:, None] + torch.arange(size, device=starts.device)
