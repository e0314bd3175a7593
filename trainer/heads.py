"""What the experts of a batch answer: each head by itself, several for one input together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from registry import DamagedError, Expert
from trainer.experts import head_reads, task_kind
from trainer.inputs import Input
from trainer.loans import Loan
from trainer.mixes import Mix
from trainer.spans import by_input, spread
from trainer.tasks import Answer
from trainer.visitors import pool


@dataclass(frozen=True)
class Answered:
    """The answer to one input, the experts that gave it, the one that counts most first, and their weights.
    Where the base model answers by itself there are no experts; where nobody does, nothing of it is there."""

    answer: Answer | None
    experts: list[Expert]
    weights: tuple[float, ...]


def decode(
    loan: Loan,
    final: Tensor,
    mask: Tensor,
    inputs: Sequence[Input],
    mixes: Sequence[Mix],
    written: Mapping[int, Answer],
) -> list[Answered | DamagedError]:
    """From the final states `(sequences, length, hidden)` of a batch.

    Args:
        written: by row, the answers that are written.
    """
    pooled, counts = pool(final, mask), [len(one.sequences) for one in inputs]
    owners = spread(range(len(inputs)), counts)
    found: dict[tuple[int, int], Answer] = {}
    for slot, resident, places in loan.groups():
        if task_kind(resident.member.expert).WRITES:
            continue
        rows = list(dict.fromkeys(owners[place] for place in places))
        read = head_reads(resident.member.architecture, pooled, loan.early, mask, places)
        outputs = resident.head(read)
        outputs = by_input(outputs, [counts[row] for row in rows]).cpu()
        expert = resident.member.expert
        own = [inputs[row] for row in rows]
        answers = task_kind(expert).answers(resident.head, outputs, expert.labels, own)
        found |= zip([(row, slot) for row in rows], answers, strict=True)
    return [_together(loan, mix, found, row, inputs[row], written) for row, mix in enumerate(mixes)]


def _together(
    loan: Loan,
    mix: Mix,
    found: dict[tuple[int, int], Answer],
    row: int,
    asked: Input,
    written: Mapping[int, Answer],
) -> Answered | DamagedError:
    """The answer to one input."""
    slots, weights = [slot for slot, _ in mix.ranked], tuple(weight for _, weight in mix.ranked)
    experts = [loan.bank.members[slot].expert for slot in slots]
    for slot, expert in zip(slots, experts, strict=True):
        if slot in loan.damaged:
            return DamagedError(f"{expert.name} cannot answer: {loan.damaged[slot]}")
    # Experts that write have mixed at every layer already, and written one text.
    answers = [written[row]] if row in written else [found[row, slot] for slot in mix.heads]
    if len(answers) > 1:
        answers = [task_kind(experts[0]).combine(answers, [*mix.heads.values()], asked)]
    return Answered(answers[0] if answers else None, experts, weights)
