"""Texts as the base model reads them."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Tokens:
    """Token ids of one text, and whether it was cut at the length limit.

    Attributes:
        target: how many of them, the last ones, are to be learnt as the answer to those before.
    """

    ids: list[int]
    types: list[int]
    cut: bool
    target: int = 0


@dataclass(frozen=True)
class Batch:
    """Right-padded tokens: `ids`, `mask`, `types`, each `(batch, length)`, and how many of each row are its
    target, `targets (batch,)`."""

    ids: Tensor
    mask: Tensor
    types: Tensor
    targets: Tensor

    def part(self, rows: slice) -> "Batch":
        """Some of its rows."""
        return Batch(self.ids[rows], self.mask[rows], self.types[rows], self.targets[rows])

    def take(self, rows: Sequence[int]) -> "Batch":
        """Some of its rows, in that order."""
        places = list(rows)
        return Batch(self.ids[places], self.mask[places], self.types[places], self.targets[places])
