"""Many frozen experts behind one forward: read when a text is first sent to them, kept while there is room.

Experts of one form lie side by side in one tensor for each part and linear layer name, `(layers, places,
...)`, as large as the largest of them and padded with zeros. A batch takes out a loan: its experts stay where
they are until it is answered; the places of others are used again, the least recently used first. So memory
does not grow with the number of experts, and neither does the time of a forward.
"""

import os
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from registry import Expert
from registry.errors import DamagedError, InvalidSettingError
from registry.tensors import Tensors
from trainer import allocator, kinds
from trainer.base_model import BaseModel
from trainer.experts import described, read, thaw_head
from trainer.forms import Form, Parts
from trainer.gating import Gate
from trainer.layouts import Architecture, Kept, Layout, family_of, form_parts, layouts

CPU_BUDGET = 128 << 20
GPU_BUDGET = 2 << 30
"""Bytes that the experts of one bank may take unless a person says otherwise; on a GPU, of its memory."""
LEAST_PLACES = 32
"""Experts that have room whatever the budget, unless a person sets it: one for each text of a batch."""
BURST = 16
"""Experts read since memory was last given back, for it to be worth its price again."""


@dataclass(frozen=True)
class Member:
    """One expert of the pool, known from its record; nothing of its file has been read."""

    expert: Expert
    architecture: Architecture
    form: str
    layouts: Sequence[Layout]

    @classmethod
    def of(cls, base: BaseModel, expert: Expert) -> "Member":
        """From the record.

        Raises:
            DamagedError: the record describes no expert.
        """
        architecture = described(expert)
        return cls(expert, architecture, family_of(architecture).FORM, layouts(base, architecture))


@dataclass(frozen=True)
class Resident:
    """An expert in the bank: its place on the shelf of its form, and its head."""

    member: Member
    place: int
    head: nn.Module


class Shelf:
    """The experts of one form, side by side.

    Attributes:
        form: how they run; places: how many have room; size: bytes that one of them takes.
    """

    def __init__(self, name: str, members: Sequence[Member], device: torch.device) -> None:
        self.form: Form = kinds.load("forms", name)
        self.experts, self.places = len(members), 0
        self._device = device
        every = [layout for member in members for layout in member.layouts]
        self._first = min((layout.first for layout in every), default=0)
        self._depth = max((layout.first + layout.layers for layout in every), default=0) - self._first
        self._largest: dict[tuple[str, str], Kept] = {}
        for layout in every:
            for part, kept in layout.parts.items():
                known = self._largest.get((layout.module, part), kept)
                shape = tuple(max(sizes) for sizes in zip(known.shape, kept.shape, strict=True))
                self._largest[layout.module, part] = Kept(kept.dtype, shape)
        self.size = self._depth * sum(
            torch.Size(kept.shape).numel() * kept.dtype.itemsize for kept in self._largest.values()
        )
        self._parts: dict[str, dict[str, Tensor]] = {}

    def open(self, places: int) -> None:
        """Make room for so many."""
        self.places = places
        for (module, part), kept in self._largest.items():
            room = torch.zeros(self._depth, places, *kept.shape, dtype=kept.dtype, device=self._device)
            self._parts.setdefault(module, {})[part] = room

    def put(self, place: int, layout: Layout, parts: Parts) -> None:
        """Write what an expert runs with at the linear layers called `layout.module`."""
        start = layout.first - self._first
        for name, part in parts.items():
            room = self._parts[layout.module][name][:, place]
            if room.shape != part.shape:
                room.zero_()
            room[(slice(start, start + layout.layers), *map(slice, part.shape[1:]))].copy_(part)

    def clear(self, place: int, modules: set[str]) -> None:
        """Nothing of an earlier expert stays where a new one has no adapter."""
        for module in modules & self._parts.keys():
            for room in self._parts[module].values():
                room[:, place].zero_()

    @property
    def modules(self) -> set[str]:
        """Names of the linear layers that some expert adapts."""
        return {*self._parts}

    def take(self, layer: int, module: str, places: Tensor | int) -> Parts | None:
        """What each row runs with, given the place of its expert, or of the one of all rows; None where no
        expert acts."""
        found = self._parts.get(module)
        if found is None or layer < self._first:
            return None
        return {name: room[layer - self._first][places] for name, room in found.items()}


class Bank:
    """The experts of one pool.

    Attributes:
        members: in slot order.
        rows: texts that one batch may have, so that its experts have room; early: layers that heads read.
        loads: how often an expert was read so far.
        gate: what weighs the experts for each token, in pools that have one.

    Args:
        fetch: reads an expert's file and checks its digest.
        budget: bytes; None for the default of the device.
    """

    def __init__(
        self,
        base: BaseModel,
        experts: Sequence[Expert],
        fetch: Callable[[Expert], Tensors],
        budget: int | None = None,
    ) -> None:
        self.base, self._fetch = base, fetch
        self.members = [Member.of(base, expert) for expert in experts]
        self.loads = self._tidied = 0
        self.gate: Gate | None = None
        self.early = {layer for member in self.members for layer in member.architecture.head_layers}
        self._shelves = _shelves(self.members, base.device, budget)
        # Of several forms, each might be asked for by all texts of a batch.
        short = [shelf.places for shelf in self._shelves.values() if shelf.places < shelf.experts]
        self.rows = min(short, default=None)
        self._free = {form: list(range(shelf.places))[::-1] for form, shelf in self._shelves.items()}
        self._residents: OrderedDict[int, Resident] = OrderedDict()
        self._pins: Counter[int] = Counter()
        self._changed = threading.Condition()

    def shelf(self, form: str) -> Shelf:
        """Where the experts of a form lie."""
        return self._shelves[form]

    def pin(self, slots: set[int]) -> tuple[dict[int, Resident], dict[int, DamagedError]]:
        """The experts of these slots, in place until `unpin`; and those that could not be read.

        Waits while other batches hold the room that is needed.
        """
        damaged: dict[int, DamagedError] = {}
        pinned: set[int] = set()
        with self._changed:
            self._changed.wait_for(lambda: self._fits(slots))
            try:
                # Those that are here first, so that reading others does not put them out.
                for slot in sorted(slots, key=lambda one: one not in self._residents):
                    if slot not in self._residents:
                        try:
                            self._residents[slot] = self._load(slot)
                        except DamagedError as reason:
                            damaged[slot] = reason
                            continue
                    self._residents.move_to_end(slot)
                    self._pins[slot] += 1
                    pinned.add(slot)
            except BaseException:
                self.unpin(pinned)
                raise
            return {slot: self._residents[slot] for slot in pinned}, damaged

    def unpin(self, slots: set[int]) -> None:
        """Let the places of these be used again."""
        with self._changed:
            self._pins.subtract(slots)
            self._changed.notify_all()

    def tidy(self) -> None:
        """Give back the memory that lies free since experts were read, if many were. Between batches."""
        if self.loads - self._tidied >= BURST:
            self._tidied = self.loads
            allocator.give_back()

    def _fits(self, slots: set[int]) -> bool:
        wanted = Counter(self.members[slot].form for slot in slots)
        short = {form: count for form, count in wanted.items() if count > self._shelves[form].places}
        if short:
            raise InvalidSettingError(
                f"a batch that needs {max(short.values())} experts at once, with room for {self.rows}: "
                "ask in smaller batches, or give the experts more memory"
            )
        held = Counter(
            self.members[slot].form for slot, pins in self._pins.items() if pins and slot not in slots
        )
        return all(wanted[form] + held[form] <= self._shelves[form].places for form in wanted)

    def _load(self, slot: int) -> Resident:
        """Read an expert into a free place, or into that of the one not used for longest."""
        member = self.members[slot]
        values = read(self.base, member.expert, member.architecture, self._fetch(member.expert))
        free = self._free[member.form]
        if not free:
            oldest = next(
                other
                for other in self._residents
                if not self._pins[other] and self.members[other].form == member.form
            )
            free.append(self._residents.pop(oldest).place)
        place, shelf = free.pop(), self._shelves[member.form]
        shelf.clear(place, shelf.modules - {layout.module for layout in member.layouts})
        for layout in member.layouts:
            shelf.put(place, layout, form_parts(member.architecture, layout, values, self.base.device))
        self.loads += 1
        return Resident(member, place, thaw_head(self.base, member.architecture, values))


def _shelves(members: Sequence[Member], device: torch.device, budget: int | None) -> dict[str, Shelf]:
    """A shelf for each form; each has that share of the budget that its experts have of all bytes."""
    of_form: dict[str, list[Member]] = {}
    for member in members:
        of_form.setdefault(member.form, []).append(member)
    shelves = {form: Shelf(form, own, device) for form, own in of_form.items()}
    whole = sum(shelf.size * shelf.experts for shelf in shelves.values())
    least = LEAST_PLACES if budget is None else 1
    if budget is None:
        budget = CPU_BUDGET if device.type == "cpu" else GPU_BUDGET
    for shelf in shelves.values():
        affordable = budget * shelf.experts // whole if whole > budget else shelf.experts
        shelf.open(min(shelf.experts, max(least, affordable)))
    return shelves


def said_budget() -> int | None:
    """Bytes for experts, as the environment says."""
    said = os.environ.get("REGISTRY_EXPERT_MEMORY")
    if not said:
        return None
    if not said.isdecimal() or not int(said):
        raise InvalidSettingError(
            f"REGISTRY_EXPERT_MEMORY {said!r} must be megabytes: a whole number above 0"
        )
    return int(said) * 1_000_000
