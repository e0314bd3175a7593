"""Adapter kinds, one module each. The contract, held by `tests/trainer/adapters/test_contract.py`:

- `Config(...)`: a frozen dataclass of JSON values, `rank` among its fields; it is stored whole with the
  expert.
- `LEARNING_RATE`: the peak rate it trains well at, unless a person chooses another.
- `configure(*, rank, alpha, preset) -> Config`: fills what is None with the kind's defaults; unknown presets
  are refused.
- `Adapter(config, inputs, outputs, generator, name)`: an `nn.Module` for one linear layer `inputs -> outputs`
  called `name`.
  - `factors() -> (A (inputs, rank), B (rank, outputs))`: the update is `x @ A @ B`, every scale folded in.
  - `forward(x (..., inputs)) -> (..., outputs)`, `dense() -> (inputs, outputs)`: the same update in the other
    forms.
  - It is zero when untrained, unless the preset says otherwise.
"""

from typing import Protocol

from torch import Tensor


class LowRank(Protocol):
    """What runs: every adapter as a pair of factors."""

    def factors(self) -> tuple[Tensor, Tensor]:
        """`A (inputs, rank)` and `B (rank, outputs)`, every scale folded in."""
