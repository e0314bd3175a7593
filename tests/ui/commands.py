"""Rows that a tiny model can learn, and `registry` run in this process."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from ui.cli import cli

GOOD = ("fine", "lovely", "superb", "happy", "charming", "clever")
BAD = ("dull", "awful", "wooden", "clumsy", "tedious", "bleak")
THINGS = ("film", "book", "soup", "room", "concert", "phone", "garden", "trip", "game", "waiter")


def mood_rows() -> list[tuple[str, str]]:
    return [
        (f"The {thing} was {word}.", label)
        for thing in THINGS
        for words, label in ((GOOD, "good"), (BAD, "bad"))
        for word in words
    ]


def topic_rows() -> list[tuple[str, str]]:
    return [
        (f"{start} {thing} number {number}?", label)
        for start, label in (("Where is", "place"), ("Who made", "person"), ("When was", "time"))
        for thing in THINGS
        for number in range(1, 5)
    ]


def write_csv(path: Path, rows: list[tuple[str, ...]], columns: tuple[str, ...] = ("text", "label")) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


Command = Callable[..., Outcome]


def run(home: Path, *arguments: str, stdin: str | None = None) -> Outcome:
    """`registry ARGUMENTS` in this process."""
    result = CliRunner().invoke(cli, ["--home", str(home), *arguments], input=stdin, prog_name="registry")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)


@dataclass(frozen=True)
class Trained:
    """What the commands printed that made the home."""

    home: Path
    files: dict[str, Path]
    added: dict[str, Any]
    router: Any
