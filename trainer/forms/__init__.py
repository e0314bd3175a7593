"""How adapters run: a form is one module, and each adapter family names the one its adapters run in.

An adapter is trained and kept as its own values (cores, say); it runs as named parts, tensors that its family
computes from those values once. A batch may hold texts of many experts, so parts come with a leading axis of
rows, row `i` with the parts of its own expert. The contract, held by `tests/trainer/forms/test_contract.py`:

- `apply(x, output, parts) -> Tensor`: the output of a linear layer with the update added. `x (rows, length,
  inputs)` went into the layer, `output (rows, length, outputs)` came out; each of `parts` is `(rows, ...)`,
  or without the axis of rows where all rows have the same expert. Where no gradient is wanted, `output`
  itself may be changed.
- `combine(parts, weights) -> Parts`, of forms whose updates add up: what the weighted sum of several updates
  runs with. Experts of forms without it cannot be combined into another.
- A part padded with zeros at the end of any of its axes changes nothing: experts of different sizes lie side
  by side in one tensor, as large as the largest.
"""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

Parts = Mapping[str, Tensor]
"""What one adapter, or one adapter for each row, runs with; by name."""


class Form(Protocol):
    """A module of this package."""

    def apply(self, x: Tensor, output: Tensor, parts: Parts) -> Tensor:
        """The output with the update added."""
