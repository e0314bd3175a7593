"""The experts of one batch: which act on which of its sequences, and how much each counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from registry.errors import DamagedError
from trainer.bank import Bank, Resident, Shelf
from trainer.gating import Gate
from trainer.mixes import Mix


@dataclass(frozen=True)
class Group:
    """Sequences on which experts of one form act.

    Attributes:
        rows: which; None: all of the batch. places: of their experts on the shelf; one number: the same for
            all.
        weights: how much each counts, `(rows, 1, 1)`; 1 where each is alone. slots: of their experts,
            `(rows,)`.
    """

    shelf: Shelf
    rows: Tensor | None
    places: Tensor | int
    weights: Tensor | float
    slots: Tensor


class Loan:
    """The experts of one batch, held until the block ends.

    Attributes:
        mixes: of each sequence, once taken; damaged: the experts that could not be read, by slot.
        early: by layer, the states `(batch, length, hidden)` that enter it, where some head reads them.
    """

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.mixes: list[Mix] = []
        self.residents: dict[int, Resident] = {}
        self.damaged: dict[int, DamagedError] = {}
        self.early: dict[int, Tensor] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bank.unpin({*self.residents})

    def take(self, slots: Sequence[int]) -> None:
        """Get the one expert of each sequence, once."""
        self.take_mixed([Mix.alone(slot) for slot in slots])

    @torch.no_grad()
    def take_mixed(self, mixes: Sequence[Mix]) -> None:
        """Get the experts of each sequence, once: none, one or several."""
        self.residents, self.damaged = self.bank.pin({slot for mix in mixes for slot in mix.slots})
        self.mixes = list(mixes)

    @property
    def gate(self) -> Gate | None:
        """What weighs the experts for each token; None where each text has its experts as a whole."""
        by_token = any(mix.speaker is not None for mix in self.mixes)
        return self.bank.gate if by_token else None

    def alone(self) -> list[Group]:
        """Sequences with one expert, for each form in the batch."""
        rows = [row for row, mix in enumerate(self.mixes) if len(mix.slots) == 1]
        return self._grouped(0, rows, weighted=False)

    def together(self) -> list[Group]:
        """Sequences with several experts, for each form: first those that count most, and so on."""
        counts = [len(mix.slots) for mix in self.mixes]
        found = []
        for rank in range(max(counts) if max(counts, default=0) > 1 else 0):
            rows = [row for row, count in enumerate(counts) if count > max(rank, 1)]
            found += self._grouped(rank, rows, weighted=True)
        return found

    def groups(self) -> list[tuple[int, Resident, list[int]]]:
        """Each expert with its slot and the sequences that it answers."""
        rows: dict[int, list[int]] = {}
        for row, mix in enumerate(self.mixes):
            for slot in mix.heads:
                if slot in self.residents:
                    rows.setdefault(slot, []).append(row)
        return [(slot, self.residents[slot], own) for slot, own in rows.items()]

    def _grouped(self, rank: int, wanted: Sequence[int], *, weighted: bool) -> list[Group]:
        """Some sequences by the form of the expert that stands at this place of their mixes."""
        forms: dict[str, list[int]] = {}
        for row in wanted:
            slot = self.mixes[row].slots[rank]
            if slot in self.residents:
                forms.setdefault(self.residents[slot].member.form, []).append(row)
        device, found = self.bank.base.device, []
        for form, rows in forms.items():
            slots = [self.mixes[row].slots[rank] for row in rows]
            places = [self.residents[slot].place for slot in slots]
            own = None if len(rows) == len(self.mixes) else torch.tensor(rows, device=device)
            one = len({*places}) == 1
            weights = [self.mixes[row].weights[rank] for row in rows]
            found.append(
                Group(
                    self.bank.shelf(form),
                    own,
                    places[0] if one else torch.tensor(places, device=device),
                    torch.tensor(weights, device=device).view(-1, 1, 1) if weighted else 1.0,
                    torch.tensor(slots, device=device),
                )
            )
        return found
