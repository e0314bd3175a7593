"""A router over a pool of experts, and what comes back for rows on record."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from registry import Expert, Generation
from trainer import denormals, generations
from trainer.dataset_features import pairs
from trainer.described import from_json
from trainer.generations import RouterDesign, joined
from trainer.measuring import HELD_OUT
from trainer.pipeline.archive import Archive, Reading, TaskRows
from trainer.routers import Features, Routing


@dataclass(frozen=True)
class Replies:
    """Row by row: the right answer, the task it was sent to, and the answer that was given there."""

    truth: list[str]
    sent: list[str]
    routed: list[str]

    @property
    def right(self) -> list[bool]:
        """Row by row, whether the answer is the right one."""
        return [answer == right for answer, right in zip(self.routed, self.truth, strict=True)]


class RoutedPool:
    """A router, just fitted or thawed, and the experts of its slots."""

    def __init__(
        self, archive: Archive, experts: Sequence[Expert], router: nn.Module, design: RouterDesign
    ) -> None:
        self.archive, self.experts = archive, list(experts)
        self._router, self._design = router, design
        self._slots: dict[str, dict[int, int]] = {}

    @classmethod
    def frozen(cls, archive: Archive, generation: Generation) -> "RoutedPool":
        """A generation of the registry.

        Raises:
            DamagedError: frozen bytes are not what they were.
        """
        registry = archive.registry
        hidden = registry.base_model(generation.base_model).hidden_size
        router = generations.thaw(hidden, generation, registry.tensors(generation.name)[0])
        design = from_json(RouterDesign, generation.config["router"])
        # One read for all of them: a generation may have a thousand.
        known = {expert.name: expert for expert in registry.experts(all_versions=True)}
        return cls(archive, [known[name] for name in generation.experts], router, design)

    def ask_ahead(self, experts: Sequence[Expert]) -> None:
        """Have all answers to the held-out rows of these experts' tasks: each expert of the pool is asked
        once for all that it is sent."""
        sent: dict[int, list[tuple[TaskRows, list[int]]]] = {}
        for expert in experts:
            rows = self.archive.rows(expert)
            for slot, places in self._by_slot(rows, rows.places(*HELD_OUT)).items():
                sent.setdefault(slot, []).append((rows, places))
        for done, (slot, wanted) in enumerate(sorted(sent.items()), 1):
            self.archive.ask(self.experts[slot], wanted)
            self.archive.on_progress("asking experts", done, len(sent), self.experts[slot].task)

    def replies(self, rows: TaskRows, places: Sequence[int]) -> Replies:
        """What comes back for some rows."""
        answers: dict[int, str] = {}
        tasks: dict[int, str] = {}
        for slot, sent in self._by_slot(rows, places).items():
            expert = self.experts[slot]
            answers |= zip(sent, self.archive.answers(expert, rows, sent), strict=True)
            tasks |= dict.fromkeys(sent, expert.task)
        return Replies(
            rows.truth(places), [tasks[place] for place in places], [answers[place] for place in places]
        )

    def right(self, expert: Expert) -> list[bool]:
        """Which of the held-out rows of an expert's task are answered rightly."""
        rows = self.archive.rows(expert)
        return self.replies(rows, rows.places(*HELD_OUT)).right

    def routing(self, rows: TaskRows, places: Sequence[int]) -> Routing:
        """Where the router sends some rows, and how sure it is."""
        design = self._design
        if design.layers:
            reading = Reading(self.experts[0].base_model, design.layers, design.max_length)
            features = Features(self.archive.features(reading, rows, places), None)
        else:
            features = Features(None, joined(pairs(rows.take(places))))
        with torch.no_grad(), denormals.flushed():
            routing: Routing = self._router(features)
        return routing

    def _by_slot(self, rows: TaskRows, places: Sequence[int]) -> dict[int, list[int]]:
        """Which of some rows go to which slot; each is routed once."""
        slots = self._slots.setdefault(rows.dataset.sha256, {})
        new = [place for place in places if place not in slots]
        if new:
            slots |= zip(new, self.routing(rows, new).slots[:, 0].tolist(), strict=True)
        found: dict[int, list[int]] = {}
        for place in places:
            found.setdefault(slots[place], []).append(place)
        return found
