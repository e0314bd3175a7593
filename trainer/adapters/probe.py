"""No adapter: the expert is a head alone, solved in closed form, that reads early states.

What it reads is what routers read, so that one pass over the rows gives router, probe and the states from
which an expert with adapters trains.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from registry.errors import InvalidSettingError
from trainer.adapters import refuse_presets

LEARNING_RATE = 0.0
TARGETS: tuple[str, ...] = ()
FORM = "none"
LINEAR = True
LOOKS = 0


@dataclass(frozen=True, kw_only=True)
class Config:
    """Nothing to choose."""


def configure(*, rank: int | None = None, alpha: float | None = None, preset: str = "default") -> Config:
    """Nothing can be given."""
    refuse_presets("probe", preset)
    if rank is not None or alpha is not None:
        raise InvalidSettingError(
            "a probe has no adapters, so that it has neither rank nor alpha: leave them out"
        )
    return Config()


def parts(config: Config, inputs: int, outputs: int, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """None."""
    return {}


class Adapter(nn.Module):
    """No update of one linear layer."""

    def __init__(
        self, config: Config, inputs: int, outputs: int, generator: torch.Generator, name: str
    ) -> None:
        super().__init__()
        self.config, self.size = config, (inputs, outputs)

    def forward(self, x: Tensor, output: Tensor) -> Tensor:
        """The output as it came out."""
        return output

    def dense(self) -> Tensor:
        """Zero, `(inputs, outputs)`."""
        return torch.zeros(self.size)
