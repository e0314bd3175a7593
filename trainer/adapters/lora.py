"""LoRA: the update of a linear layer as two matrices (arXiv 2106.09685). The yardstick for every other
adapter."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainer.adapters import ATTENTION, check_rank, refuse_presets

LEARNING_RATE = 1e-3
TARGETS = ATTENTION
FORM = "low_rank"
LINEAR = True
LOOKS = 0


@dataclass(frozen=True, kw_only=True)
class Config:
    """Rank and scale of the update."""

    rank: int = 16
    alpha: float = 16.0
    """The update is multiplied by `alpha / rank`."""


def configure(*, rank: int | None = None, alpha: float | None = None, preset: str = "default") -> Config:
    """Rank 16 and alpha 16 unless given."""
    refuse_presets("lora", preset)
    return Config(rank=16 if rank is None else rank, alpha=16.0 if alpha is None else alpha)


def parts(config: Config, inputs: int, outputs: int, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The matrices, `alpha / rank` folded into the second."""
    return {"a": values["a"], "b": config.alpha / config.rank * values["b"]}


class Adapter(nn.Module):
    """The low-rank update of one linear layer; B starts at zero.

    Raises:
        InvalidSettingError: a rank below 1 or above what the layer can carry.
    """

    def __init__(
        self, config: Config, inputs: int, outputs: int, generator: torch.Generator, name: str
    ) -> None:
        super().__init__()
        check_rank(config.rank, inputs, outputs, name)
        self.config, self.size = config, (inputs, outputs)
        self.scale = config.alpha / config.rank
        self.a = nn.Parameter(torch.empty(inputs, config.rank))
        nn.init.uniform_(self.a, -1 / math.sqrt(inputs), 1 / math.sqrt(inputs), generator=generator)
        self.b = nn.Parameter(torch.zeros(config.rank, outputs))

    def forward(self, x: Tensor, output: Tensor) -> Tensor:
        """The output of a layer with the update added."""
        return output + self.scale * (x @ self.a @ self.b)

    def dense(self) -> Tensor:
        """The update as a matrix `(inputs, outputs)`."""
        return self.scale * (self.a @ self.b)
