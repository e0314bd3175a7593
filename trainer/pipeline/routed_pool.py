"""A router over a pool of experts, and what comes back for rows on record."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from registry import Expert, Generation
from trainer import generations
from trainer.dataset_features import pairs
from trainer.described import from_json
from trainer.generations import RouterDesign, joined
from trainer.measuring import HELD_OUT
from trainer.pipeline.archive import Archive, TaskRows
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

    def replies(self, rows: TaskRows, places: Sequence[int]) -> Replies:
        """What comes back for some rows."""
        slots = self._slots(rows, places)
        answers: dict[int, str] = {}
        for slot in sorted(set(slots)):
            sent = [place for place, chosen in zip(places, slots, strict=True) if chosen == slot]
            answers |= zip(sent, self.archive.answers(self.experts[slot], rows, sent), strict=True)
        return Replies(
            rows.truth(places),
            [self.experts[slot].task for slot in slots],
            [answers[place] for place in places],
        )

    def right(self, expert: Expert) -> list[bool]:
        """Which of the held-out rows of an expert's task are answered rightly."""
        rows = self.archive.rows(expert)
        return self.replies(rows, rows.places(*HELD_OUT)).right

    def routing(self, rows: TaskRows, places: Sequence[int]) -> Routing:
        """Where the router sends some rows, and how sure it is."""
        states = None
        if self._design.layers:
            base_model = self.experts[0].base_model
            states = self.archive.features(base_model, rows, self._design.layers, self._design.max_length)
            states = states[list(places)]
        with torch.no_grad():
            routing: Routing = self._router(Features(states, joined(pairs(rows.take(places)))))
        return routing

    def _slots(self, rows: TaskRows, places: Sequence[int]) -> list[int]:
        slots: list[int] = self.routing(rows, places).slots[:, 0].tolist()
        return slots
