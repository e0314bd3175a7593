"""Rows of each task kind that a tiny model can learn, as text files."""

import csv
from pathlib import Path

from tests.trainer.samples import THINGS

MARKS = {"awful": "0.5", "poor": "1.5", "fair": "2.5", "good": "3.5", "superb": "4.5"}
TRAITS = {"red": "colour", "green": "colour", "huge": "size", "small": "size", "old": "age", "new": "age"}
PAIRED = [(one, other) for one in TRAITS for other in TRAITS if one < other]
ODD = ("cloud", "river", "moon")

FILES: dict[str, list[list[str]]] = {
    "classification": [
        ["text", "label"],
        *([f"The {thing} was {word}.", label] for thing in THINGS for word, label in TRAITS.items()),
    ],
    "multi_label": [
        ["text", "label"],
        *(
            [f"A {one} and {other} {thing}.", "|".join(sorted({TRAITS[one], TRAITS[other]}))]
            for thing in THINGS
            for one, other in PAIRED
        ),
    ],
    "multiple_choice": [
        ["text", "choice_0", "choice_1", "choice_2", "label"],
        *(
            [
                f"Which one is {word}?",
                *[f"the {thing} is {word}" if place == right else f"a {ODD[place]}" for place in range(3)],
                str(right),
            ]
            for thing in THINGS
            for word in MARKS
            for right in range(3)
        ),
    ],
    "text_generation": [
        ["text", "target"],
        *(
            [f"Say it of the {thing}: {word}.", f"The {thing} is {word}."]
            for thing in THINGS
            for word in (*MARKS, *TRAITS)
        ),
    ],
    "regression": [
        ["text", "label"],
        *(
            [f"The {size} {thing} was {word}.", mark]
            for size in ("big", "small")
            for thing in THINGS
            for word, mark in MARKS.items()
        ),
    ],
}


def write(folder: Path, kind: str) -> Path:
    """The CSV file of a task of a kind, called as the kind."""
    path = folder / f"{kind}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(FILES[kind])
    return path
