"""One text and what became of it: who was chosen, with which weights, and the answer."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any

from registry import Registry
from registry.errors import InvalidSettingError, NotFoundError
from trainer.inputs import Input
from ui import present
from ui.views.aliases import names_of

if TYPE_CHECKING:
    from trainer.predictions import Prediction

TOP = 8
"""Experts of a large pool that are shown by name; the others are one line together."""
MOST_ROWS = 1_000
"""Rows of a file that are answered while somebody waits."""
MOST_CHARACTERS = 100_000
LONGEST_ANSWER = 80
"""Characters of an answer that stands in a sentence with another."""

# What spreadsheets take for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def list_pools(registry: Registry) -> list[dict[str, Any]]:
    """The generations that can answer, newest first, each with its experts and what it is called."""
    names = names_of(registry.aliases())
    return [
        {
            "generation": generation.name,
            "experts": list(generation.experts),
            "aliases": names.get(generation.name, []),
        }
        for generation in reversed(registry.generations())
    ]


def default_pool(registry: Registry) -> str | None:
    """Who answers when nobody is named: production, else the newest; None when there is no generation."""
    try:
        return registry.generation().name
    except NotFoundError:
        return None


def answer(prediction: "Prediction") -> dict[str, Any]:
    """One answer as a document; weights from the largest."""
    return {
        "text": prediction.text,
        "label": prediction.label,
        "probability": prediction.probability,
        "probabilities": largest_first(prediction.probabilities),
        "task": prediction.task,
        "expert": prediction.expert,
        "generation": prediction.generation,
        "weights": largest_first(prediction.weights),
        "margin": None if prediction.generation is None else prediction.margin,
        "cut": prediction.cut,
        "value": prediction.value,
        "index": prediction.index,
        "score": prediction.score,
        "threshold": prediction.threshold,
        "reason": prediction.reason,
        "mixed": prediction.mixed,
        "base_model": prediction.base_model,
    }


def counted(answers: Sequence[Mapping[str, Any]]) -> str:
    """How many rows were answered, and by how many experts."""
    experts = {one["expert"] for one in answers if one["expert"] is not None}
    bare = sum(one["base_model"] is not None for one in answers)
    silent = sum(one["expert"] is None for one in answers)
    said = f"{len(answers) - silent:,} rows answered by {len(experts):,} experts"
    said += f"; to {silent:,} no expert fits" if silent else ""
    return said + (", and the base model answers them." if bare else ".")


def largest_first(shares: Mapping[str, float]) -> dict[str, float]:
    """The same shares in the order of their size; equal ones by name."""
    return dict(sorted(shares.items(), key=lambda one: (-one[1], one[0])))


def top(weights: Mapping[str, float], count: int = TOP) -> list[tuple[str, float]]:
    """The largest weights, and the sum of the others as one line."""
    ordered = list(largest_first(weights).items())
    rest = ordered[count:]
    if len(rest) < 2:
        return ordered
    return [*ordered[:count], (f"{len(rest):,} others", sum(weight for _, weight in rest))]


def is_written(given: Mapping[str, Any]) -> bool:
    """Whether an answer is a text that an expert has written: no label, number or choice."""
    return given["label"] is not None and given["value"] is None and not given["probabilities"]


def sentence(given: Mapping[str, Any]) -> str:
    """An answer in words; one that was written is shown apart."""
    said = _answered(given)
    if given["reason"] is not None:
        said = f"{given['reason'][0].upper()}{given['reason'][1:]}. {said}"
    said += f" {_chosen(given)}"
    if given["expert"] is None and given["label"] is None:
        said += (
            " To have it answered all the same, choose so under “If no expert fits”, or let an expert of"
            " your choice answer."
        )
    if not given["cut"]:
        return said
    return f"{said} Longer than the limit: the text was not read to its end, or the answer not written to it."


def _answered(given: Mapping[str, Any]) -> str:
    """Who said what, how sure."""
    if given["label"] is None:
        return "Nobody answers."
    names = f"{'The ' if given['base_model'] else ''}{_who(given)}"
    several = len(given["mixed"]) > 1
    if is_written(given):
        return f"{names} {'write together' if several else 'wrote'} what stands below."
    sure = "" if given["probability"] is None else f", {given['probability']:.1%} sure"
    return f"{names} {'answer together' if several else 'answers'} “{given['label']}”{sure}."


def _who(given: Mapping[str, Any]) -> str | None:
    """Who answered; None where nobody did."""
    bare = given["base_model"] and f"base model {given['base_model']}"
    return " and ".join(given["mixed"]) or given["expert"] or bare


def _chosen(given: Mapping[str, Any]) -> str:
    """How it came to be asked."""
    if given["generation"] is None:
        return "It was asked by name; nothing was routed."
    if not any(given["weights"].values()):
        return f"{given['generation']} has no expert to weigh."
    if given["expert"] is None or given["mixed"]:
        nearest = [f"{task} {weight:.1%}" for task, weight in list(given["weights"].items())[:3]]
        return f"{given['generation']} weighs the experts: {', '.join(nearest)}."
    if len(given["weights"]) == 1:
        return f"It is the only expert of {given['generation']}."
    first, second = list(given["weights"].items())[:2]
    return (
        f"{given['generation']} chose it with weight {first[1]:.1%}, {given['margin']:.1%} ahead of"
        f" {second[0]}."
    )


def comparison(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """What two generations say of one text, in a sentence."""
    names = f"{first['generation']} and {second['generation']}"
    silent = [one["generation"] for one in (first, second) if one["expert"] is None]
    if len(silent) == 2:
        return f"{names} agree: no expert fits."
    if silent:
        [other] = [one for one in (first, second) if one["expert"] is not None]
        return (
            f"{names} differ: to {silent[0]} no expert fits; {other['expert']} of {other['generation']} "
            f"answers “{_short(other)}”."
        )
    same_expert, same_label = first["expert"] == second["expert"], first["label"] == second["label"]
    if same_expert and same_label:
        return f"{names} agree: {first['expert']} answers “{_short(first)}”."
    if same_label:
        return f"{names} give the same answer by different experts: {first['expert']} and {second['expert']}."
    routes = "the same expert" if same_expert else f"{first['expert']} and {second['expert']}"
    return f"{names} differ: “{_short(first)}” and “{_short(second)}”, by {routes}."


def _short(given: Mapping[str, Any]) -> str:
    """An answer that stands in a sentence."""
    return present.plain(given["label"], LONGEST_ANSWER)


def checked(text: str, pair: str | None = None, choices: Sequence[str] = ()) -> Input:
    """A text, its pair where there is one, and what to choose from where there is anything.

    Raises:
        InvalidSettingError: it is empty or too long; one choice alone.
    """
    if not text.strip():
        raise InvalidSettingError("there is no text yet: type one")
    for one in (text, pair or "", *choices):
        if len(one) > MOST_CHARACTERS:
            raise InvalidSettingError(
                f"a text of {len(one):,} characters is too long: give at most {MOST_CHARACTERS:,}"
            )
    return Input(text, pair if pair and pair.strip() else None, tuple(choices))


def check_count(texts: Sized) -> None:
    """Raises InvalidSettingError when there are more texts than are answered while somebody waits."""
    if len(texts) > MOST_ROWS:
        raise InvalidSettingError(
            f"{len(texts):,} rows are more than the {MOST_ROWS:,} that are answered here; "
            "on the command line there is no limit: registry predict --data FILE"
        )


COLUMNS = ("text", "answer", "probability", "expert", "weight", "margin", "fits", "cut")


def table(answers: Iterable[Mapping[str, Any]]) -> list[list[Any]]:
    """Answers as rows under COLUMNS."""
    return [
        [
            one["text"],
            one["label"] or "",
            None if one["probability"] is None else round(one["probability"], 4),
            _who(one) or "",
            round(one["weights"][one["task"]] if one["task"] else max(one["weights"].values()), 4),
            None if one["margin"] is None else round(one["margin"], 4),
            "yes" if one["reason"] is None else "no",
            "yes" if one["cut"] else "no",
        ]
        for one in answers
    ]


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows as UTF-8 CSV in which no cell is a formula for a spreadsheet: such text gets an apostrophe."""
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow(columns)
    writer.writerows([[_harmless(cell) for cell in row] for row in rows])
    return written.getvalue().encode("utf-8")


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip(" ").startswith(_FORMULA) else cell
