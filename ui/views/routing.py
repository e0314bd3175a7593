"""What a router gets wrong: which tasks it mixes up, which texts those are, and how sure it was."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from registry import Registry, measured
from trainer.data.columns import answer_of

LARGEST = 40
"""Tasks in one matrix: beyond that nobody can read it; the pairs are listed as a table."""
MISTAKES = 50
"""Texts that went wrong, at most."""
CALIBRATED = 40
"""Tasks that a calibration is measured on, spread over all of them."""
BINS = 10


def show_confusion(registry: Registry, ref: str | None = None, *, split: str = "test") -> dict[str, Any]:
    """Where a generation sent each task's rows; of many tasks those that are mixed up most."""
    generation = registry.generation(ref)
    counted = measured.confusion(registry, generation.number, split)
    astray = sorted(
        (-rows, task, other)
        for task, sent in counted.items()
        for other, rows in sent.items()
        if other != task
    )
    pairs = [
        {"task": task, "sent": other, "rows": -rows, "share": -rows / sum(counted[task].values())}
        for rows, task, other in astray
    ]
    shown = _shown(counted, pairs)
    return {
        "generation": generation.name,
        "split": split,
        "tasks": shown,
        "all_tasks": len(counted),
        "rows": [[counted[task].get(other, 0) for other in shown] for task in shown],
        "elsewhere": [
            sum(rows for other, rows in counted[task].items() if other not in shown) for task in shown
        ],
        "pairs": pairs,
    }


def list_mistakes(
    registry: Registry,
    ref: str,
    task: str,
    sent: str | None = None,
    *,
    split: str = "test",
    limit: int = MISTAKES,
) -> list[dict[str, Any]]:
    """The rows of a task that a generation sends to another task's expert (to `sent`, if one is named).

    Raises:
        NotFoundError: No such generation or task, or what the router read of the rows is not kept any more.
    """
    from trainer.pipeline.looking import decisions

    wrong = (
        {
            "text": one.row.text,
            "text_pair": one.row.text_pair,
            "label": answer_of(one.row.values),
            "sent": one.sent,
            "weight": one.weight,
            "own_weight": one.own,
        }
        for one in decisions(registry, ref, [task], split)
        if one.sent != task and sent in (None, one.sent)
    )
    return list(islice(wrong, limit))


def show_calibration(registry: Registry, ref: str | None = None, *, split: str = "test") -> dict[str, Any]:
    """How often the router is right when it is so sure, in ten bins of the weight that it gave its choice.

    `error` is the expected calibration error: the mean distance of the two, weighted by rows.
    """
    from trainer.pipeline.looking import decisions

    generation = registry.generation(ref)
    tasks = [name.partition("@")[0] for name in generation.experts]
    chosen = tasks[:: -(-len(tasks) // CALIBRATED)]
    counts, sure, right = [0] * BINS, [0.0] * BINS, [0] * BINS
    for one in decisions(registry, generation.name, chosen, split):
        place = min(BINS - 1, int(one.weight * BINS))
        counts[place] += 1
        sure[place] += one.weight
        right[place] += one.sent == one.task
    total = sum(counts)
    bins = [
        {"from": place / BINS, "rows": count, "weight": sure[place] / count, "right": right[place] / count}
        for place, count in enumerate(counts)
        if count
    ]
    return {
        "generation": generation.name,
        "split": split,
        "tasks": len(chosen),
        "all_tasks": len(tasks),
        "rows": total,
        "bins": bins,
        "error": sum(one["rows"] * abs(one["weight"] - one["right"]) for one in bins) / total
        if total
        else None,
    }


def _shown(counted: Mapping[str, Mapping[str, int]], pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    if len(counted) <= LARGEST:
        return list(counted)
    mixed = dict.fromkeys(task for pair in pairs for task in (pair["task"], pair["sent"]) if task in counted)
    return list(dict.fromkeys([*mixed, *counted]))[:LARGEST]
