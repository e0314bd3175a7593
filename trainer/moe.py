"""Answers texts: one frozen base model, a pool of frozen experts, and a router that chooses among them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from registry import ConflictError, Expert, Generation, NotFoundError, Registry
from registry.errors import nearest
from trainer import experts, generations
from trainer.base_model import BaseModel, Batch, Text, Tokens
from trainer.described import from_json
from trainer.encoding import EVALUATION_BATCH, by_length
from trainer.generations import RouterDesign, joined
from trainer.pool import Bank, Chosen, RoutedOnTheWay
from trainer.progress import Progress, silent
from trainer.routers import Features, Routing
from trainer.tasks import Answer
from trainer.visitors import Taps


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The answer to one text, and how it came about.

    Attributes:
        expert: the expert that answered, such as `sst2@1`; task: its task.
        label: its answer; probability: how sure it is; probabilities: of every label.
        weights: the router's weight of each task, 1 for a forced expert.
        margin: largest weight minus the second largest.
        generation: such as `router@3`; None when the expert was forced.
        cut: whether the text was longer than the limit, so that its end was not read.
    """

    text: str
    task: str
    expert: str
    label: str
    probability: float
    probabilities: dict[str, float]
    weights: dict[str, float]
    margin: float
    generation: str | None
    cut: bool


class MoE:
    """A pool of experts behind one router. `MoE.load(registry)` is the way to get one.

    Attributes:
        generation: whose router chooses; None when the pool is a single, forced expert.
        experts: in slot order.
    """

    def __init__(
        self,
        base: BaseModel,
        pool: Sequence[tuple[Expert, experts.ExpertModule]],
        generation: Generation | None,
        router: nn.Module | None,
    ) -> None:
        self.base, self.generation, self.router = base, generation, router
        self.experts = [expert for expert, _ in pool]
        self.bank = Bank([module for _, module in pool])
        if generation is not None:
            self.design = from_json(RouterDesign, generation.config["router"])

    @classmethod
    def load(
        cls,
        registry: Registry,
        generation: str | int | None = None,
        *,
        expert: str | None = None,
        base: BaseModel | None = None,
        device: str = "auto",
        on_progress: Progress = silent,
    ) -> "MoE":
        """Thaw a generation (by default the one in production, else the newest), or a single expert.

        Raises:
            NotFoundError: no such generation or expert, or none yet.
            ConflictError: the base model at hand is not the one that the experts stand on.
            DamagedError: frozen bytes are not what they were.
        """
        if expert is not None:
            alone = registry.expert(expert)
            base = fitting_base(registry, alone.base_model, base, device, on_progress)
            return cls(base, [(alone, thawed(registry, base, alone))], None, None)
        chosen = registry.generation(generation)
        base = fitting_base(registry, chosen.base_model, base, device, on_progress)
        pool = []
        for slot, name in enumerate(chosen.experts):
            member = registry.expert(name)
            pool.append((member, thawed(registry, base, member)))
            on_progress("loading experts", slot + 1, len(chosen.experts), member.name)
        router = generations.thaw(base.hidden, chosen, registry.tensors(chosen.name)[0])
        return cls(base, pool, chosen, router.to(base.device))

    def predict(
        self, texts: Sequence[Text], *, expert: str | None = None, on_progress: Progress = silent
    ) -> list[Prediction]:
        """Answer each text, in order.

        Args:
            texts: texts, or pairs of texts.
            expert: an expert of the pool that answers whatever the router would say, by task or full name.
        """
        forced = None if self.generation is not None and expert is None else self._slot(expert)
        pairs = [(text, None) if isinstance(text, str) else text for text in texts]
        limit = self.design.max_length if forced is None else self._limit(forced)
        tokens = self.base.tokenize(pairs, limit)
        found: list[Prediction | None] = [None] * len(pairs)
        done = 0
        with torch.no_grad():
            for rows in by_length([len(one.ids) for one in tokens], EVALUATION_BATCH):
                answers = self._answer([pairs[row] for row in rows], [tokens[row] for row in rows], forced)
                for row, prediction in zip(rows, answers, strict=True):
                    found[row] = prediction
                done += len(rows)
                on_progress("predicting", done, len(pairs), "")
        return [prediction for prediction in found if prediction is not None]

    def _slot(self, expert: str | None) -> int:
        names = [name for one in self.experts for name in (one.task, one.name)]
        if expert is None:
            return 0
        if expert not in names:
            raise NotFoundError(
                f"expert {expert!r} is not in this pool; it holds {', '.join(names[1::2])}."
                f"{nearest(expert, names)}"
            )
        return names.index(expert) // 2

    def _limit(self, slot: int) -> int:
        """Tokens that an expert reads of a text: in any pool as many as when it was trained."""
        return self.bank.experts[slot].architecture.max_length

    def _answer(
        self, texts: Sequence[tuple[str, str | None]], tokens: Sequence[Tokens], forced: int | None
    ) -> Iterator[Prediction]:
        if forced is not None:
            for text, one, answer in zip(texts, tokens, self._forced(tokens, forced), strict=True):
                yield self._prediction(text[0], forced, answer, None, 0, one.cut)
            return
        batch = self.base.batch(tokens)
        routing, final = self._route(batch, joined(texts))
        slots = routing.slots[:, 0].cpu()
        answers = self._decode(slots, final, batch.mask)
        for row, slot in enumerate(slots.tolist()):
            answer, cut = answers[row], tokens[row].cut
            if len(tokens[row].ids) > self._limit(slot):
                # The pool reads as much as any of its experts; this one reads less, so it is asked again.
                shorter = self.base.tokenize([texts[row]], self._limit(slot))
                [answer], cut = self._forced(shorter, slot), True
            yield self._prediction(texts[row][0], slot, answer, routing, row, cut)

    def _forced(self, tokens: Sequence[Tokens], slot: int) -> list[Answer]:
        batch = self.base.batch(tokens)
        slots = torch.full((len(tokens),), slot)
        final = self.base.forward(batch, Chosen(self.bank, slots.to(batch.ids.device)))
        return self._decode(slots, final, batch.mask)

    def _route(self, batch: Batch, texts: Sequence[str]) -> tuple[Routing, Tensor]:
        """The decision and the final states of the experts it chose."""
        assert self.router is not None
        layers = self.design.layers
        if layers and self.design.passes == "one":
            visitor = RoutedOnTheWay(self.bank, self.router, layers, batch.mask, texts)
            final = self.base.forward(batch, visitor)
            assert visitor.routing is not None
            return visitor.routing, final
        states = None
        if layers:
            taps = Taps(layers)
            self.base.forward(batch, taps)
            states = taps.pooled(layers, batch.mask)
        routing: Routing = self.router(Features(states, texts))
        return routing, self.base.forward(batch, Chosen(self.bank, routing.slots[:, 0]))

    def _decode(self, slots: Tensor, final: Tensor, mask: Tensor) -> list[Answer]:
        outputs = self.bank.outputs(slots, final, mask)
        answers = []
        for slot, output in zip(slots.tolist(), outputs, strict=True):
            kind, labels = self.bank.experts[slot].kind, self.experts[slot].labels
            answers += kind.answers(output[None].cpu(), labels)
        return answers

    def _prediction(
        self, text: str, slot: int, answer: Answer, routing: Routing | None, row: int, cut: bool
    ) -> Prediction:
        member = self.experts[slot]
        weights, margin = {member.task: 1.0}, 1.0
        if routing is not None:
            tasks = [expert.task for expert in self.experts]
            weights = dict(zip(tasks, routing.weights[row, 0].tolist(), strict=True))
            margin = routing.margin[row, 0].item()
        return Prediction(
            text=text,
            task=member.task,
            expert=member.name,
            label=answer.label,
            probability=answer.probability,
            probabilities=answer.probabilities,
            weights=weights,
            margin=margin,
            generation=None if routing is None or self.generation is None else self.generation.name,
            cut=cut,
        )


def thawed(registry: Registry, base: BaseModel, expert: Expert) -> experts.ExpertModule:
    """An expert of the registry, ready to run."""
    return experts.thaw(base, expert, registry.tensors(expert.name)[0])


def fitting_base(
    registry: Registry, fingerprint: str, base: BaseModel | None, device: str, on_progress: Progress = silent
) -> BaseModel:
    """The base model with this fingerprint: the one given, or loaded by the spec on record.

    Raises:
        ConflictError: what was given, or what the spec leads to today, has another fingerprint.
    """
    record = registry.base_model(fingerprint)
    base = base or BaseModel.load(record.spec, device=device, on_progress=on_progress)
    if base.record.fingerprint != fingerprint:
        raise ConflictError(
            f"base model {base.record.name} ({base.record.fingerprint[:12]}) is not the one "
            f"these experts stand on, {record.name} ({fingerprint[:12]}): "
            "give that one, its weights, config and tokenizer unchanged"
        )
    return base
