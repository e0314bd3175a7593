"""Answers texts: one frozen base model, a pool of frozen experts, and a router that chooses among them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from registry import DamagedError, Expert, Generation, NotFoundError, Registry
from registry.blobs import Blobs
from registry.errors import InvalidSettingError, nearest
from trainer import generations
from trainer.bank import Bank, said_budget
from trainer.bare import check_bare
from trainer.base_model import BaseModel
from trainer.batching import CPU_TOKENS, GPU_TOKENS, Halving, by_tokens, windows
from trainer.decisions import Decider
from trainer.decoding import GREEDY, Decoding, Reading
from trainer.described import from_json
from trainer.familiarity import Fit
from trainer.gating import Gate
from trainer.generations import RouterDesign
from trainer.heads import Answered, decode
from trainer.inputs import Given, Input
from trainer.loans import Loan
from trainer.mixes import NOBODY, Mix, Policy
from trainer.passes import Pass
from trainer.pool import Chosen
from trainer.predictions import Asked, Prediction, counts_of, inputs_of, told
from trainer.progress import Progress, silent
from trainer.spans import spread
from trainer.thawing import fetched, fitting_base
from trainer.tokens import Batch
from trainer.writing import Writers

ALONE = Policy.of()

WINDOW = 1024
"""Texts that are sorted by length together. Padding is rare then, and the first answers come soon."""


class MoE:
    """A pool of experts behind one router. `MoE.load(registry)` is the way to get one.

    Where a text is stranger to all of them than the generation's threshold, no expert fits, and none answers
    unless asked to (`top_k`, `fallback`; see `trainer.mixes.Policy`).

    Several threads may ask at the same time. An expert whose file is damaged stops only the texts that are
    sent to it.

    Attributes:
        generation: whose router chooses; None when the pool is a single, forced expert.
        fit: when one of them fits; None: always.
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
        fit: Fit | None = None,
    ) -> None:
        self.base, self.generation, self.router = base, generation, router
        self.experts = list(pool)
        self.bank = Bank(base, self.experts, lambda expert: fetched(blobs, expert), budget)
        self.fit = fit
        self._writers = Writers(self.bank)
        design = None if generation is None else from_json(RouterDesign, generation.config["router"])
        self._decider = Decider(self.experts, router, fit, None if design is None else design.paired)
        if generation is not None and design is not None and router is not None:
            self.design = design
            if generations.mixes_tokens(generation):
                self.bank.gate = Gate(router, self.design.layers)
            self._pass = Pass(base, self._decider, self.design)

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
        budget = said_budget() if budget is None else budget
        if expert is not None:
            alone = registry.expert(expert)
            base = fitting_base(registry, alone.base_model, base, device, on_progress)
            return cls(base, [alone], registry.blobs, None, None, budget)
        chosen = registry.generation(generation)
        base = fitting_base(registry, chosen.base_model, base, device, on_progress)
        members = registry.experts(names=chosen.experts)
        router, fit = generations.thaw(base.hidden, chosen, registry.tensors(chosen.name)[0])
        return cls(base, members, registry.blobs, chosen, router.to(base.device), budget, fit)

    def predict(
        self,
        texts: Sequence[Given],
        *,
        expert: str | None = None,
        top_k: int | None = None,
        fallback: str | None = None,
        decoding: Decoding = GREEDY,
        on_progress: Progress = silent,
    ) -> list[Prediction]:
        """Answer each text, in order; see `stream`."""
        asked: dict[str, Any] = {"expert": expert, "top_k": top_k, "fallback": fallback, "decoding": decoding}
        return list(self.stream(texts, **asked, total=len(texts), on_progress=on_progress))

    def stream(
        self,
        texts: Iterable[Given],
        *,
        expert: str | None = None,
        top_k: int | None = None,
        fallback: str | None = None,
        decoding: Decoding = GREEDY,
        total: int = 0,
        on_progress: Progress = silent,
    ) -> Iterator[Prediction]:
        """Answer any number of texts in bounded memory, in order.

        Batches are of about equal length, and halved where memory does not suffice.

        Args:
            texts: texts, pairs of texts, or inputs; only those with choices go to experts that choose.
            expert: an expert of the pool that answers whatever the router would say, by task or full name.
            top_k: experts that answer together, by the router's weights; 1 asks the best one, whether it fits
                or not.
            fallback: where no expert fits, `abstain` (so it is without `top_k`), `top-k`: several do, or
                `base`: the base model writes an answer by itself, also where none can take the input.
            decoding: how the answers are written of experts that write.
            total: how many texts there are, if known, for who watches.

        Raises:
            NotFoundError: the expert is not in the pool.
            DamagedError: at the first text that is sent to an expert whose bytes are not what they were; the
                texts before it have been answered.
            InvalidSettingError: no expert, or not the one named, can take an input, unless `base` is the
                fallback; memory does not suffice for a single one; `top_k` or `fallback` is unknown, or asked
                of an expert that is named or of a generation that weighs all of them for each token; the
                base model cannot write.
        """
        policy = Policy.of(top_k, fallback)
        forced = None if self.generation is not None and expert is None else self._slot(expert)
        if forced is not None and (top_k, fallback) != (None, None):
            raise InvalidSettingError("an expert that is named answers alone: leave out top-k and fallback")
        if forced is None and self.bank.gate is not None and (top_k, fallback) != (None, None):
            raise InvalidSettingError("all experts answer together here: leave out top-k and fallback")
        if policy.bare:
            check_bare(self.base)
        return self._stream(texts, forced, policy, decoding, total, on_progress)

    def _stream(
        self,
        texts: Iterable[Given],
        forced: int | None,
        policy: Policy,
        decoding: Decoding,
        total: int,
        on_progress: Progress,
    ) -> Iterator[Prediction]:
        done, halving = 0, Halving()
        for window in windows(texts, WINDOW):
            inputs = [Input.of(one) for one in window]
            for one in inputs if not policy.bare else ():
                self._decider.takers.check(one, forced)
            limit = self.design.max_length if forced is None else self._limit(Mix.alone(forced))
            asked = Asked.read(self.base, inputs, limit)
            found: dict[int, Prediction | DamagedError] = {}
            for rows in self._batches(asked, policy):
                answers = halving.run(
                    [asked[row] for row in rows], lambda some: self._answer(some, forced, policy, decoding)
                )
                found |= zip(rows, answers, strict=True)
                done += len(rows)
                on_progress("predicting", done, total, "")
            self.bank.tidy()
            for row in range(len(asked)):
                answer = found[row]
                if isinstance(answer, DamagedError):
                    raise answer
                yield answer

    def _batches(self, asked: Sequence[Asked], policy: Policy) -> list[list[int]]:
        tokens = CPU_TOKENS if self.base.device.type == "cpu" else GPU_TOKENS
        rows = min(tokens, max(1, (self.bank.rows or tokens) // policy.most))
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

    def _limit(self, mix: Mix) -> int:
        """Tokens that experts read of a text: in any pool as many as when they were trained; of several the
        fewest, and without any as many as the router."""
        limits = [self.bank.members[slot].architecture.max_length for slot in mix.slots]
        return min(limits) if limits else self.design.max_length

    @torch.no_grad()
    def _answer(
        self,
        asked: Sequence[Asked],
        forced: int | None,
        policy: Policy = ALONE,
        decoding: Decoding = GREEDY,
    ) -> list[Prediction | DamagedError]:
        if forced is not None:
            answered = self._chosen(asked, [Mix.alone(forced)] * len(asked), decoding)
            return told(asked, answered, self.base.record.name, None, None, None)
        left = [row for row, one in enumerate(asked) if policy.bare and not self._takes(one)]
        if left:
            return self._leave(asked, left, policy, decoding)
        batch, cache = self._batch(asked), self._writers.cache(policy)
        with Loan(self.bank) as loan:
            decision, final = self._pass.run(loan, batch, asked, policy, cache)
            mixes = decision.mixes
            # The pool reads as much as any of its experts, and no template; others are asked again.
            again = [row for row, mix in enumerate(mixes) if self._otherwise(asked[row], mix)]
            now = [NOBODY if row in again else mix for row, mix in enumerate(mixes)]
            written = {}
            if cache is not None:
                reading = Reading.of(self.base, cache, batch, final)
                written = self._writers.go_on(loan, reading, asked, now, decoding)
            answered = decode(loan, final, batch.mask, inputs_of(asked), now, written)
        asked = list(asked)
        for row in again:
            [asked[row]] = Asked.read(self.base, [asked[row].input], self._limit(mixes[row]))
        repeated = self._chosen([asked[row] for row in again], [mixes[row] for row in again], decoding)
        for row, answer in zip(again, repeated, strict=True):
            answered[row] = answer
        return told(asked, answered, self.base.record.name, decision, self.generation, self.fit)

    def _takes(self, asked: Asked) -> bool:
        return self._decider.takers.takes(asked.input)

    def _leave(
        self, asked: Sequence[Asked], rows: Sequence[int], policy: Policy, decoding: Decoding
    ) -> list[Prediction | DamagedError]:
        """Some rows, which no expert can take, answered by the base model, and the others as ever."""
        own, others = [asked[row] for row in rows], [row for row in range(len(asked)) if row not in rows]
        decision = self._decider.leave(inputs_of(own))
        answered = self._chosen(own, decision.mixes, decoding)
        told_of = told(own, answered, self.base.record.name, decision, self.generation, self.fit)
        found = dict(zip(rows, told_of, strict=True))
        if others:
            rest = self._answer([asked[row] for row in others], None, policy, decoding)
            found |= zip(others, rest, strict=True)
        return [found[row] for row in range(len(asked))]

    def _otherwise(self, asked: Asked, mix: Mix) -> bool:
        return asked.size > self._limit(mix) or self._writers.begins_anew(mix, asked.input)

    def _chosen(
        self, asked: Sequence[Asked], mixes: Sequence[Mix], decoding: Decoding
    ) -> list[Answered | DamagedError]:
        """Answers of experts that are known beforehand."""
        found: dict[int, Answered | DamagedError] = {}
        for writing in (True, False):
            rows = [row for row, mix in enumerate(mixes) if (mix in self._writers) == writing]
            own, several = [asked[row] for row in rows], [mixes[row] for row in rows]
            if rows and writing:
                found |= zip(rows, self._writers.begin(own, several, decoding), strict=True)
            elif rows:
                batch = self._batch(own)
                with Loan(self.bank) as loan:
                    loan.take_mixed(spread(several, counts_of(own)))
                    final = self.base.forward(batch, Chosen(loan))
                    answered = decode(loan, final, batch.mask, inputs_of(own), several, {})
                found |= zip(rows, answered, strict=True)
        return [found[row] for row in range(len(asked))]

    def _batch(self, asked: Sequence[Asked]) -> Batch:
        return self.base.batch([sequence for one in asked for sequence in one.tokens])
