"""Rows that a tiny model can learn, and `registry` run in this process."""

import csv
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from ui.cli import cli

ACCURACY = {"accuracy": float}
METRICS = {"validation": ACCURACY, "test": ACCURACY}
ROUTING = {"routing_accuracy": float, "routed_accuracy": float, "oracle_accuracy": float, "coverage": float}
ROWS = {"train": int, "validation": int, "test": int}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*\+00:00")
DIGEST = re.compile(r"[0-9a-f]{64}")

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


def write_csv(
    path: Path, rows: Sequence[tuple[str, ...]], columns: tuple[str, ...] = ("text", "label")
) -> Path:
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
    """`registry ARGUMENTS` in this process, jobs too: each process of its own would load torch anew."""
    result = CliRunner(env={"REGISTRY_EXECUTOR": "thread"}).invoke(
        cli, ["--home", str(home), *arguments], input=stdin, prog_name="registry"
    )
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


def train(folder: Path, base_model: Path) -> Trained:
    """A home in `folder` with two tasks and a router."""
    home = folder / "home"
    files = {
        "mood": write_csv(folder / "mood.csv", mood_rows()),
        "topic": write_csv(folder / "topic.csv", topic_rows()),
    }
    common = ("--base-model", str(base_model), "--epochs", "2", "--device", "cpu", "--json")
    added = {task: run(home, "add-task", "--data", str(file), *common).json for task, file in files.items()}
    return Trained(home, files, added, run(home, "retrain-router", "--device", "cpu", "--json").json)


def home_of(command: Command) -> Path:
    return Path(command("path", "home").out.strip())


def assert_refused(outcome: Outcome, code: int, *words: str) -> None:
    assert outcome.out == ""
    errors = [line for line in outcome.err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, outcome.err
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in errors[0]
    assert outcome.code == code, outcome.err


def assert_shape(value: Any, shape: Any, where: str = "") -> None:
    """Every key, no more and no fewer; types, exact values, or patterns of text at the leaves."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), where
        assert sorted(value) == sorted(shape), where
        for key, inner in shape.items():
            assert_shape(value[key], inner, f"{where}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        assert len(value) == len(shape), where
        for index, inner in enumerate(shape):
            assert_shape(value[index], inner, f"{where}[{index}]")
    elif isinstance(shape, re.Pattern):
        assert shape.fullmatch(value), f"{where}: {value!r}"
    elif isinstance(shape, type):
        assert type(value) is shape, f"{where}: {value!r}"
    else:
        assert value == shape, where
