"""Rows that a tiny model can learn: three tasks of different words, one of them of pairs."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trainer import ExpertSettings

THINGS = ("film", "book", "soup", "room", "phone", "trip")
QUICK = ExpertSettings(epochs=2, batch_size=16, max_length=32, first_layer=2)
WRITING = replace(QUICK, rank=4, max_length=24, learning_rate=2e-2, epochs=6)
"""Of experts that write."""


def mood_rows() -> list[tuple[str, ...]]:
    words = {"good": ("lovely", "superb", "clever", "happy"), "bad": ("dull", "awful", "wooden", "bleak")}
    return [
        (f"The {thing} was {word}.", label) for thing in THINGS for label in words for word in words[label]
    ]


def question_rows() -> list[tuple[str, ...]]:
    starts = {"place": "Where is the", "person": "Who made the", "time": "When was the"}
    return [
        (f"{start} {thing} number {number}?", label)
        for label, start in starts.items()
        for thing in THINGS
        for number in range(1, 4)
    ]


def pair_rows() -> list[tuple[str, ...]]:
    return [
        (f"{number} {first}s cost {number} coins", f"{number} {second}s cost {number} coins", label)
        for number in range(2, 6)
        for first in THINGS
        for second, label in ((first, "same"), (THINGS[(THINGS.index(first) + 1) % 6], "other"))
    ]


TASKS = {
    "mood": (mood_rows(), ("text", "label")),
    "pairs": (pair_rows(), ("text", "text_pair", "label")),
    "question": (question_rows(), ("text", "label")),
}


def write(folder: Path, task: str, *, rows: Sequence[Sequence[str]] | None = None) -> Path:
    """The CSV file of a task, or of other rows in its columns."""
    own, columns = TASKS[task]
    path = folder / f"{task}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *(own if rows is None else rows)])
    return path


def texts(task: str, count: int = 8) -> list[str | tuple[str, str | None]]:
    """Some texts of a task; a pair where it asks about pairs."""
    rows = TASKS[task][0][:: max(1, len(TASKS[task][0]) // count)]
    return [row[0] if len(row) == 2 else (row[0], row[1]) for row in rows[:count]]
