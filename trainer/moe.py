"""Answers texts: one frozen base model, a pool of frozen experts, and a router that chooses among them."""

import os
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from registry import DamagedError, Expert, Generation, NotFoundError, Registry
from registry.blobs import Blobs
from registry.errors import InvalidSettingError, nearest
from trainer import denormals, experts, generations
from trainer.bank import Bank, Loan
from trainer.base_model import BaseModel, Batch
from trainer.batching import CPU_TOKENS, GPU_TOKENS, Halving, by_tokens, windows
from trainer.described import from_json
from trainer.generations import RouterDesign
from trainer.inputs import Given, Input, words
from trainer.pool import Chosen, RoutedOnTheWay
from trainer.predictions import Asked, Decision, Prediction, Weights, counts_of, told
from trainer.progress import Progress, silent
from trainer.routers import Features, Routing
from trainer.spans import by_input, means, spans, spread
from trainer.takers import Takers
from trainer.tasks import Answer
from trainer.thawing import fetched, fitting_base
from trainer.visitors import Taps, pool

WINDOW = 1024
"""Texts that are sorted by length together. Padding is rare then, and the first answers come soon."""


class MoE:
    """A pool of experts behind one router. `MoE.load(registry)` is the way to get one.

    Several threads may ask at the same time. An expert whose file is damaged stops only the texts that are
    sent to it.

    Attributes:
        generation: whose router chooses; None when the pool is a single, forced expert.
        experts: in slot order.
    """

    def __init__(
        self,
        base: BaseModel,
        pool: Sequence[Expert],
        blobs: Blobs,
        generation: Generation | None,
        router: nn.Module | None,
        budget: int | None = None,
    ) -> None:
        self.base, self.generation, self.router = base, generation, router
        self.experts = list(pool)
        self.bank = Bank(base, self.experts, lambda expert: fetched(blobs, expert), budget)
        self._takers = Takers(self.experts)
        self._tasks = {expert.task: slot for slot, expert in enumerate(self.experts)}
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
        budget: int | None = None,
        on_progress: Progress = silent,
    ) -> "MoE":
        """Thaw a generation (by default the one in production, else the newest), or a single expert. Experts
        are read from the registry's folder when a text is first sent to them.

        Args:
            budget: bytes that experts may take in memory; else the megabytes that REGISTRY_EXPERT_MEMORY
                says, else 128 MiB (2 GiB on a GPU), or room for 32 experts where that is more.

        Raises:
            NotFoundError: no such generation or expert, or none yet.
            ConflictError: the base model at hand is not the one that the experts stand on.
            DamagedError: the frozen bytes of the router are not what they were.
        """
        budget = _budget() if budget is None else budget
        if expert is not None:
            alone = registry.expert(expert)
            base = fitting_base(registry, alone.base_model, base, device, on_progress)
            return cls(base, [alone], registry.blobs, None, None, budget)
        chosen = registry.generation(generation)
        base = fitting_base(registry, chosen.base_model, base, device, on_progress)
        members = registry.experts(names=chosen.experts)
        router = generations.thaw(base.hidden, chosen, registry.tensors(chosen.name)[0])
        return cls(base, members, registry.blobs, chosen, router.to(base.device), budget)

    def predict(
        self, texts: Sequence[Given], *, expert: str | None = None, on_progress: Progress = silent
    ) -> list[Prediction]:
        """Answer each text, in order; see `stream`."""
        return list(self.stream(texts, expert=expert, total=len(texts), on_progress=on_progress))

    def stream(
        self,
        texts: Iterable[Given],
        *,
        expert: str | None = None,
        total: int = 0,
        on_progress: Progress = silent,
    ) -> Iterator[Prediction]:
        """Answer any number of texts in bounded memory, in order.

        Batches are of about equal length, and halved where memory does not suffice.

        Args:
            texts: texts, pairs of texts, or inputs; only those with choices go to experts that choose.
            expert: an expert of the pool that answers whatever the router would say, by task or full name.
            total: how many texts there are, if known, for who watches.

        Raises:
            NotFoundError: the expert is not in the pool.
            DamagedError: at the first text that is sent to an expert whose bytes are not what they were; the
                texts before it have been answered.
            InvalidSettingError: no expert, or not the one named, can take an input; memory does not suffice
                for a single one.
        """
        forced = None if self.generation is not None and expert is None else self._slot(expert)
        return self._stream(texts, forced, total, on_progress)

    def _stream(
        self, texts: Iterable[Given], forced: int | None, total: int, on_progress: Progress
    ) -> Iterator[Prediction]:
        done, halving = 0, Halving()
        for window in windows(texts, WINDOW):
            inputs = [Input.of(one) for one in window]
            for one in inputs:
                self._takers.check(one, forced)
            limit = self.design.max_length if forced is None else self._limit(forced)
            asked = Asked.read(self.base, inputs, limit)
            found: dict[int, Prediction | DamagedError] = {}
            for rows in self._batches(asked):
                answers = halving.run([asked[row] for row in rows], lambda some: self._answer(some, forced))
                found |= zip(rows, answers, strict=True)
                done += len(rows)
                on_progress("predicting", done, total, "")
            for row in range(len(asked)):
                answer = found[row]
                if isinstance(answer, DamagedError):
                    raise answer
                yield answer

    def _batches(self, asked: Sequence[Asked]) -> list[list[int]]:
        tokens = CPU_TOKENS if self.base.device.type == "cpu" else GPU_TOKENS
        rows = min(tokens, self.bank.rows or tokens)
        return by_tokens([one.size for one in asked], counts_of(asked), tokens, rows)

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
        return self.bank.members[slot].architecture.max_length

    @torch.no_grad()
    def _answer(self, asked: Sequence[Asked], forced: int | None) -> list[Prediction | DamagedError]:
        if forced is not None:
            slots = [forced] * len(asked)
            return told(asked, self._members(slots), self._chosen(asked, slots), None)
        batch = self._batch(asked)
        with self.bank.loan() as loan:
            decision, final = self._route(loan, batch, asked)
            answers = self._decode(loan, final, batch.mask, asked)
        # The pool reads as much as any of its experts; those that read less are asked again.
        again = [row for row, one in enumerate(asked) if one.size > self._limit(decision.slots[row])]
        asked = list(asked)
        for row in again:
            [asked[row]] = Asked.read(self.base, [asked[row].input], self._limit(decision.slots[row]))
        if again:
            repeated = self._chosen([asked[row] for row in again], [decision.slots[row] for row in again])
            for row, answer in zip(again, repeated, strict=True):
                answers[row] = answer
        return told(asked, self._members(decision.slots), answers, decision)

    def _chosen(self, asked: Sequence[Asked], slots: Sequence[int]) -> list[Answer | DamagedError]:
        """Answers of experts that are known beforehand."""
        batch = self._batch(asked)
        with self.bank.loan() as loan:
            loan.take(spread(slots, counts_of(asked)))
            return self._decode(loan, self.base.forward(batch, Chosen(loan)), batch.mask, asked)

    def _batch(self, asked: Sequence[Asked]) -> Batch:
        return self.base.batch([sequence for one in asked for sequence in one.tokens])

    def _route(self, loan: Loan, batch: Batch, asked: Sequence[Asked]) -> tuple[Decision, Tensor]:
        """The decision and the final states of the experts it chose."""
        layers, counts = self.design.layers, counts_of(asked)
        inputs = [one.input for one in asked]

        def choose(features: Features) -> Routing:
            assert self.router is not None
            return self._takers.among(self.router(features), [bool(one.choices) for one in inputs])

        if layers and self.design.passes == "one":
            visitor = RoutedOnTheWay(loan, choose, layers, batch.mask, counts, words(inputs))
            final = self.base.forward(batch, visitor)
            assert visitor.routing is not None
            return self._decided(visitor.routing), final
        states = None
        if layers:
            taps = Taps(layers)
            self.base.forward(batch, taps)
            states = means(taps.pooled(layers, batch.mask), counts)
        with denormals.flushed():
            routing = choose(Features(states, words(inputs)))
        loan.take(spread(routing.slots[:, 0].tolist(), counts))
        return self._decided(routing), self.base.forward(batch, Chosen(loan))

    def _decided(self, routing: Routing) -> Decision:
        assert self.generation is not None
        weights = routing.weights[:, 0].numpy(force=True)
        return Decision(
            self.generation.name,
            routing.slots[:, 0].tolist(),
            routing.margin[:, 0].tolist(),
            [Weights(self._tasks, row) for row in weights],
        )

    def _members(self, slots: Sequence[int]) -> list[Expert]:
        return [self.experts[slot] for slot in slots]

    def _decode(
        self, loan: Loan, final: Tensor, mask: Tensor, asked: Sequence[Asked]
    ) -> list[Answer | DamagedError]:
        pooled, counts = pool(final, mask), counts_of(asked)
        owners = spread(range(len(asked)), counts)
        found: dict[int, Answer | DamagedError] = {}
        for resident, places in loan.groups():
            rows = list(dict.fromkeys(owners[place] for place in places))
            architecture = resident.member.architecture
            outputs = resident.head(experts.head_reads(architecture, pooled, loan.early, mask, places))
            outputs = by_input(outputs, [counts[row] for row in rows]).cpu()
            kind = experts.task_kind(resident.member.expert)
            inputs = [asked[row].input for row in rows]
            answers = kind.answers(resident.head, outputs, resident.member.expert.labels, inputs)
            found |= zip(rows, answers, strict=True)
        slots = [loan.slots[span.start] for span in spans(counts)]
        return [found.get(row) or loan.damaged[slot] for row, slot in enumerate(slots)]


def _budget() -> int | None:
    """Bytes for experts, as the environment says."""
    said = os.environ.get("REGISTRY_EXPERT_MEMORY")
    if not said:
        return None
    if not said.isdecimal() or not int(said):
        raise InvalidSettingError(
            f"REGISTRY_EXPERT_MEMORY {said!r} must be megabytes: a whole number above 0"
        )
    return int(said) * 1_000_000
