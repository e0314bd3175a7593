"""Part of the rows of a file, the same part each time."""

import csv
import math
import random
from pathlib import Path


def held_out(folder: Path) -> Path:
    """The rows of a task to test on: `test.csv`, or `validation.csv` where there is none."""
    test = folder / "test.csv"
    return test if test.exists() else folder / "validation.csv"


def sample(
    path: Path, rows: int | None, target: Path, *, seed: int = 0, most_words: float = math.inf
) -> Path:
    """A file with `rows` rows whose first cell has at most so many words, drawn without replacement, in the
    file's order; the file itself when all are wanted."""
    if rows is None:
        return path
    with path.open(newline="", encoding="utf-8") as file:
        header, *body = csv.reader(file)
    fitting = [place for place, row in enumerate(body) if len("".join(row[:1]).split()) <= most_words]
    kept = sorted(random.Random(seed).sample(fitting, min(rows, len(fitting))))
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *(body[place] for place in kept)])
    return target
