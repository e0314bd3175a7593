"""Bottleneck adapters as Pfeiffer et al. place them (arXiv 2005.00247, after arXiv 1902.00751): a narrow
network of one hidden layer behind the feed-forward part of each layer, `output + up(relu(down(output)))`.

Its update bends with what it is given, so no matrix added to the layer's weights would do the same.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainer.adapters import FEED_FORWARD, check_rank, refuse_presets

LEARNING_RATE = 4e-3
TARGETS = FEED_FORWARD
FORM = "bottleneck"
LINEAR = False
LOOKS = 0


@dataclass(frozen=True, kw_only=True)
class Config:
    """Width and scale."""

    rank: int = 16
    """Width of the hidden layer."""
    alpha: float = 1.0
    """Multiplies the update."""


def configure(*, rank: int | None = None, alpha: float | None = None, preset: str = "default") -> Config:
    """Rank 16 and alpha 1 unless given."""
    refuse_presets("bottleneck", preset)
    return Config(rank=16 if rank is None else rank, alpha=1.0 if alpha is None else alpha)


def parts(config: Config, inputs: int, outputs: int, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Both layers of the network, alpha folded into the second."""
    return {
        "down": values["down"],
        "down_bias": values["down_bias"],
        "up": config.alpha * values["up"],
        "up_bias": config.alpha * values["up_bias"],
    }


class Adapter(nn.Module):
    """The network behind one linear layer; `up` starts at zero.

    Raises:
        InvalidSettingError: a rank below 1 or above what the layer can carry.
    """

    def __init__(
        self, config: Config, inputs: int, outputs: int, generator: torch.Generator, name: str
    ) -> None:
        super().__init__()
        check_rank(config.rank, inputs, outputs, name)
        self.config, self.size = config, (inputs, outputs)
        self.down = nn.Parameter(torch.empty(outputs, config.rank))
        nn.init.uniform_(self.down, -1 / math.sqrt(outputs), 1 / math.sqrt(outputs), generator=generator)
        self.down_bias = nn.Parameter(torch.zeros(config.rank))
        self.up = nn.Parameter(torch.zeros(config.rank, outputs))
        self.up_bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, output: Tensor) -> Tensor:
        """The output of a layer, and what the network makes of it."""
        inner = nn.functional.linear(output, self.down.T, self.down_bias).clamp_min(0)
        return output + self.config.alpha * nn.functional.linear(inner, self.up.T, self.up_bias)
