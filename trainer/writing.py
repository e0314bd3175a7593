"""The experts of a pool that write their answers, each at work on its own rows of a batch, and the base model
itself beside them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from torch import Tensor
from transformers import Cache, DynamicCache

from registry.errors import DamagedError
from trainer import experts
from trainer.bank import Bank
from trainer.bare import bare_prompts
from trainer.batching import CPU_TOKENS, GPU_TOKENS, by_tokens
from trainer.decoding import Decoding, Reading, write
from trainer.heads import Answered
from trainer.inputs import Input
from trainer.loans import Loan
from trainer.mixes import Mix, Policy
from trainer.pool import Chosen
from trainer.predictions import Asked, counts_of
from trainer.prompts import Prompts
from trainer.spans import spans
from trainer.tasks import Answer
from trainer.tokens import Tokens

ROOM = 4
"""Tokens, read and written, that are kept as keys and values at a time: so many times those of a batch."""


class Writers:
    """Those experts of a pool, by slot, and the base model beside them, which may answer by itself."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._prompts = {
            slot: Prompts.of(bank.base, member.architecture)
            for slot, member in enumerate(bank.members)
            if experts.task_kind(member.expert).WRITES
        }

    def __contains__(self, mix: Mix) -> bool:
        return mix.bare or (bool(mix.slots) and mix.first in self._prompts)

    @cached_property
    def _bare(self) -> Prompts:
        longest = max(member.architecture.max_length for member in self._bank.members)
        return bare_prompts(self._bank.base, longest)

    def _prompts_of(self, mix: Mix) -> Prompts:
        """Of several experts, those of the one that counts most."""
        return self._bare if mix.bare else self._prompts[mix.first]

    def cache(self, policy: Policy) -> Cache | None:
        """Where a forward puts what is gone on from; None where nobody would."""
        wanted = self._prompts or (policy.bare and self._bare.goes_on)
        return DynamicCache(config=self._bank.base.model.config) if wanted else None

    def begins_anew(self, mix: Mix, asked: Input) -> bool:
        """Whether an answer is written, and the prompt does not begin with what the router reads."""
        return mix in self and (bool(asked.choices) or not self._prompts_of(mix).goes_on)

    def go_on(
        self, loan: Loan, reading: Reading, asked: Sequence[Asked], mixes: Sequence[Mix], decoding: Decoding
    ) -> dict[int, Answer]:
        """Answers, by row, to inputs that were read on the way to the router's choice; but for those
        whose experts are damaged or do not write."""
        starts = [span.start for span in spans(counts_of(asked))]
        rows = [row for row, mix in enumerate(mixes) if mix in self and not {*mix.slots} & {*loan.damaged}]
        found: dict[int, Answer] = {}
        for part in self._batches([asked[row] for row in rows], [mixes[row] for row in rows], decoding):
            some = [rows[place] for place in part]
            places, given = [starts[row] for row in some], [asked[row] for row in some]
            own, on = _part(loan, places), reading.part(places)
            after = [self._prompts_of(mix).after for mix in own.mixes]
            if any(after):
                on.extend(after, Chosen(own))
            prompts = [
                replace(one.tokens[0], ids=[*one.tokens[0].ids, *tail])
                for one, tail in zip(given, after, strict=True)
            ]
            found |= zip(some, self._write(own, on, given, prompts, decoding), strict=True)
        return found

    def begin(
        self, asked: Sequence[Asked], mixes: Sequence[Mix], decoding: Decoding
    ) -> list[Answered | DamagedError]:
        """Answers of experts that are known beforehand."""
        found: dict[int, Answered | DamagedError] = {}
        for rows in self._batches(asked, mixes, decoding):
            with Loan(self._bank) as loan:
                loan.take_mixed([mixes[row] for row in rows])
                for row in rows:
                    for slot in mixes[row].slots:
                        if slot in loan.damaged:
                            name = self._bank.members[slot].expert.name
                            found[row] = DamagedError(f"{name} cannot answer: {loan.damaged[slot]}")
                there = [place for place, row in enumerate(rows) if row not in found]
                if not there:
                    continue
                own, given = _part(loan, there), [asked[rows[place]] for place in there]
                prompts = [
                    self._prompts_of(mix).read(one.input) for mix, one in zip(own.mixes, given, strict=True)
                ]
                reading = Reading.prompts(self._bank.base, prompts, Chosen(own))
                written = self._write(own, reading, given, prompts, decoding)
                for place, mix, answer in zip(there, own.mixes, written, strict=True):
                    members = [self._bank.members[slot].expert for slot, _ in mix.ranked]
                    weights = tuple(weight for _, weight in mix.ranked)
                    found[rows[place]] = Answered(answer, members, weights)
        return [found[row] for row in range(len(asked))]

    def _batches(self, asked: Sequence[Asked], mixes: Sequence[Mix], decoding: Decoding) -> list[list[int]]:
        """Rows that are written side by side: no more than there is room for what was read and written."""
        sizes = [one.size + self._limit(mix, decoding) for one, mix in zip(asked, mixes, strict=True)]
        room = ROOM * (CPU_TOKENS if self._bank.base.device.type == "cpu" else GPU_TOKENS)
        return by_tokens(sizes, [1] * len(sizes), room, room)

    def _limit(self, mix: Mix, decoding: Decoding) -> int:
        return decoding.max_new_tokens or self._prompts_of(mix).limit

    def _write(
        self,
        loan: Loan,
        reading: Reading,
        asked: Sequence[Asked],
        prompts: Sequence[Tokens],
        decoding: Decoding,
    ) -> list[Answer]:
        def head_of(states: Tensor, rows: Sequence[int]) -> Tensor:
            own = _part(loan, rows)
            bare = [mix.bare for mix in own.mixes]
            found = states * states.new_tensor(bare)[:, None]
            for slot, resident, places in own.groups():
                mixes = [own.mixes[place] for place in places]
                weights = states.new_tensor([mix.heads[slot] for mix in mixes])
                found[places] += weights[:, None] * resident.head(states[places])
            return found

        limits = [self._limit(mix, decoding) for mix in loan.mixes]
        written = write(reading, prompts, limits, decoding, lambda rows: Chosen(_part(loan, rows)), head_of)
        found = []
        for mix, one, prompt, said in zip(loan.mixes, asked, prompts, written, strict=True):
            answer = Answer(said.text)
            if not mix.bare:
                resident = loan.residents[mix.first]
                expert = resident.member.expert
                [answer] = experts.task_kind(expert).answers(
                    resident.head, [said.text], expert.labels, [one.input]
                )
            found.append(replace(answer, cut=said.cut or prompt.cut))
        return found


def _part(loan: Loan, places: Sequence[int]) -> Loan:
    """Some sequences of a loan, which goes on holding their experts."""
    found = Loan(loan.bank)
    found.mixes = [loan.mixes[place] for place in places]
    found.residents = {slot: loan.residents[slot] for mix in found.mixes for slot in mix.slots}
    return found
