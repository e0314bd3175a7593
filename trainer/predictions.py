"""The answer to one text, and how it came about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from registry import DamagedError, Generation
from trainer.base_model import BaseModel
from trainer.decisions import Decision, Weights
from trainer.familiarity import Fit
from trainer.heads import Answered
from trainer.inputs import Input
from trainer.tasks import Answer
from trainer.tokens import Tokens


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The answer to one text, and how it came about.

    Attributes:
        expert: the expert that answered, such as `sst2@1`; task: its task. None where no expert fits, and
            none answered; of several the one that counts most.
        label: its answer, as text; value: as a number, of experts that give one; index: of the choice, where
            the text had some.
        probability: how sure it is, where it can tell; probabilities: of every label or choice.
        weights: the router's weight of each task, 1 for a forced expert.
        margin: largest weight minus the second largest.
        generation: such as `router@3`; None when the expert was forced.
        cut: whether the text was longer than the limit, so that its end was not read, or an answer that is
            written was to go on when it was as long as answers may be.
        score: how strange the text is to the expert's tasks; threshold: above it no expert fits. None where
            nobody can tell: the expert was forced, or the generation has no threshold.
        reason: why no expert fits, in words; None where one does.
        mixed: where several experts answered together, the weight of each by its name.
        base_model: its name where it wrote the answer by itself, since no expert fits; else None.
    """

    text: str
    task: str | None
    expert: str | None
    label: str | None
    probability: float | None
    probabilities: dict[str, float]
    weights: Mapping[str, float]
    margin: float
    generation: str | None
    cut: bool
    value: float | None = None
    index: int | None = None
    score: float | None = None
    threshold: float | None = None
    reason: str | None = None
    mixed: dict[str, float] = field(default_factory=dict)
    base_model: str | None = None


@dataclass(frozen=True)
class Asked:
    """One input on its way: as given, and as the base model reads its sequences."""

    input: Input
    tokens: list[Tokens]

    @classmethod
    def read(cls, base: BaseModel, inputs: Sequence[Input], limit: int) -> "list[Asked]":
        """Inputs as the base model reads at most `limit` tokens of each sequence."""
        parts = [one.sequences for one in inputs]
        tokens = iter(base.tokenize([sequence for own in parts for sequence in own], limit))
        return [cls(one, list(islice(tokens, len(own)))) for one, own in zip(inputs, parts, strict=True)]

    @property
    def size(self) -> int:
        """Tokens of the longest sequence."""
        return max(len(one.ids) for one in self.tokens)


def counts_of(asked: Sequence[Asked]) -> list[int]:
    """How many sequences each input is."""
    return [len(one.tokens) for one in asked]


def inputs_of(asked: Sequence[Asked]) -> list[Input]:
    """What was asked, as given."""
    return [one.input for one in asked]


def told(
    asked: Sequence[Asked],
    answered: Sequence[Answered | DamagedError],
    base_model: str,
    decision: Decision | None,
    generation: Generation | None,
    fit: Fit | None,
) -> list[Prediction | DamagedError]:
    """What comes back for each text of a batch; no decision: the expert was forced.

    Args:
        base_model: its name.
    """
    found: list[Prediction | DamagedError] = []
    for row, (one, given) in enumerate(zip(asked, answered, strict=True)):
        if isinstance(given, DamagedError):
            found.append(given)
            continue
        first = given.experts[0] if given.experts else None
        answer = given.answer or Answer("")
        score = None if decision is None or decision.scores is None else decision.scores[row]
        names = [expert.name for expert in given.experts]
        found.append(
            Prediction(
                text=one.input.text,
                task=None if first is None else first.task,
                expert=None if first is None else first.name,
                label=None if given.answer is None else answer.label,
                probability=answer.probability,
                probabilities=answer.probabilities,
                weights=decision.weights[row] if decision else {first.task: 1.0} if first else {},
                margin=1.0 if decision is None else decision.margins[row],
                generation=None if decision is None or generation is None else generation.name,
                cut=answer.cut or any(sequence.cut for sequence in one.tokens),
                value=answer.value,
                index=answer.index,
                score=score,
                threshold=None if score is None or fit is None else fit.threshold,
                reason=_reason(row, score, decision, fit),
                mixed=dict(zip(names, given.weights, strict=True)) if len(names) > 1 else {},
                base_model=base_model if given.answer is not None and first is None else None,
            )
        )
    return found


def _reason(row: int, score: float | None, decision: Decision | None, fit: Fit | None) -> str | None:
    if decision is not None and decision.reasons is not None:
        return decision.reasons[row]
    return None if score is None or fit is None else fit.reason(score)


def largest(weights: Mapping[str, float], count: int) -> dict[str, float]:
    """The largest weights, from the largest; equal ones by name."""
    found = weights.candidates(count) if isinstance(weights, Weights) else weights
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0]))[:count])
