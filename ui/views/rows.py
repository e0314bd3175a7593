"""The data card: how many rows, how balanced, how long, and what some of them say."""

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from registry import Registry

LOOKED_AT = 20_000
"""Rows counted at most, so that a card opens at once; the card says how many those were."""
EXAMPLES = 8
LABELS = 1_000
"""Different labels at most, as many as classes can be; of numbers there may be as many as rows."""


def show_data(registry: Registry, task: str, version: int | None = None) -> dict[str, Any]:
    """A version of a task's rows, by default the newest.

    Raises:
        NotFoundError: No such task or version.
        DamagedError: The rows are not what was stored.
    """
    dataset = registry.dataset(task, version)
    lines = registry.rows(dataset).decode("utf-8").split("\n", LOOKED_AT)[:LOOKED_AT]
    rows = [json.loads(line) for line in lines if line]
    return {
        "name": dataset.name,
        "source": dataset.source,
        "sha256": dataset.sha256,
        "columns": dataset.columns,
        "findings": list(dataset.findings),
        "rows": dataset.rows,
        "looked_at": len(rows),
        "labels": _balance(rows),
        "characters": _lengths([len(row.get("text", "")) for row in rows]),
        "examples": _examples(rows),
    }


def _balance(rows: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    counted = Counter(row["label"] for row in rows if "label" in row)
    return [
        {"label": label, "rows": count, "share": count / len(rows)}
        for label, count in counted.most_common(LABELS)
    ]


def _lengths(lengths: Sequence[int]) -> dict[str, float] | None:
    if not lengths:
        return None
    return {
        "shortest": min(lengths),
        "median": statistics.median(lengths),
        "mean": round(statistics.fmean(lengths), 1),
        "longest": max(lengths),
    }


def _examples(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """A few rows of every label in turn, the first of each first."""
    by_label: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_label.setdefault(row.get("label", ""), []).append(row)
    turns = [row for turn in range(EXAMPLES) for of in by_label.values() for row in of[turn : turn + 1]]
    return turns[:EXAMPLES]
