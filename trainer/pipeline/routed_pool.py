"""A router over a pool of experts, and what comes back for rows on record."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from registry import Expert, Generation
from registry.errors import InvalidSettingError
from trainer import denormals, generations, kinds
from trainer.data import Row
from trainer.dataset_features import inputs
from trainer.decisions import Decider
from trainer.described import from_json
from trainer.familiarity import Fit
from trainer.generations import RouterDesign, mixes_tokens
from trainer.inputs import words
from trainer.measuring import HELD_OUT
from trainer.pipeline.archive import Archive, Reading, TaskRows
from trainer.routers import Features, Routing


@dataclass(frozen=True)
class Replies:
    """Rows, the task that each was sent to, and the answer that was given there, whether that expert fits or
    not; fits: where it does, None where the generation cannot tell."""

    rows: list[Row]
    sent: list[str]
    routed: list[str]
    fits: list[bool] | None


class RoutedPool:
    """A router, just fitted or thawed, and the experts of its slots."""

    def __init__(
        self,
        archive: Archive,
        experts: Sequence[Expert],
        router: nn.Module,
        design: RouterDesign,
        fit: Fit | None,
    ) -> None:
        self.archive, self.experts, self.fit = archive, list(experts), fit
        self._design = design
        self._decider = Decider(self.experts, router, fit, design.paired)
        self._slots: dict[str, dict[int, int]] = {}
        self._scores: dict[str, dict[int, float]] = {}

    @classmethod
    def frozen(cls, archive: Archive, generation: Generation) -> "RoutedPool":
        """A generation of the registry.

        Raises:
            DamagedError: frozen bytes are not what they were.
            InvalidSettingError: it sends no text anywhere.
        """
        registry = archive.registry
        if mixes_tokens(generation):
            raise InvalidSettingError(
                f"{generation.name} mixes its experts in every token: no text is sent to one of them"
            )
        hidden = registry.base_model(generation.base_model).hidden_size
        router, fit = generations.thaw(hidden, generation, registry.tensors(generation.name)[0])
        design = from_json(RouterDesign, generation.config["router"])
        # One read for all of them: a generation may have a thousand.
        known = {expert.name: expert for expert in registry.experts(all_versions=True)}
        return cls(archive, [known[name] for name in generation.experts], router, design, fit)

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
        scores = self._scores[rows.dataset.sha256]
        return Replies(
            rows=rows.take(places),
            sent=[tasks[place] for place in places],
            routed=[answers[place] for place in places],
            fits=None if self.fit is None else self.fit.fits([scores[place] for place in places]),
        )

    def credits(self, expert: Expert) -> list[float]:
        """How nearly each of the held-out rows of an expert's task is answered rightly, from 0 to 1."""
        rows = self.archive.rows(expert)
        replies = self.replies(rows, rows.places(*HELD_OUT))
        found: list[float] = kinds.load("tasks", expert.kind).credits(replies.routed, replies.rows)
        return found

    def routing(self, rows: TaskRows, places: Sequence[int]) -> Routing:
        """Where the router sends some rows, and how sure it is."""
        return self._route(rows, places)[0]

    def _route(self, rows: TaskRows, places: Sequence[int]) -> tuple[Routing, Tensor | None]:
        """And how strange they are to it."""
        design = self._design
        reads, states, texts = kinds.load("routers", design.kind).READS, None, None
        if "states" in reads:
            reading = Reading(self.experts[0].base_model, design.layers, design.max_length)
            states = self.archive.features(reading, rows, places)
        if "text" in reads:
            texts = words(inputs(rows.take(places)))
        with torch.no_grad(), denormals.flushed():
            return self._decider.route(Features(states, texts), [rows.form] * len(places))

    def _by_slot(self, rows: TaskRows, places: Sequence[int]) -> dict[int, list[int]]:
        """Which of some rows go to which slot; each is routed once."""
        slots = self._slots.setdefault(rows.dataset.sha256, {})
        known = self._scores.setdefault(rows.dataset.sha256, {})
        new = [place for place in places if place not in slots]
        if new:
            routing, scores = self._route(rows, new)
            slots |= zip(new, routing.slots[:, 0].tolist(), strict=True)
            known |= {} if scores is None else zip(new, scores.tolist(), strict=True)
        found: dict[int, list[int]] = {}
        for place in places:
            found.setdefault(slots[place], []).append(place)
        return found
