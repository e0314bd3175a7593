"""The runner goes on where it was interrupted, and the report says what was and was not reached."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.stress import __main__ as runner
from tests.stress import report
from tests.stress.part import load, names
from tests.stress.sizes import clock, sized

HAS = ("TITLE", "TARGET", "MINUTES", "SMALL", "run", "reached")
RESULT = {
    "part": "adds",
    "reached": True,
    "figures": {"adds": 8_000, "lost": 0, "adds_per_s": 160.5},
    "seconds": 83.4,
    "scale": 1.0,
    "commit": "abc1234",
    "versions": {"Python": "3.11.9", "SQLite": "3.40.1 (TRUNCATE)"},
    "machine": "2 cores",
}


def ran(runs: list[str], reached: bool = True) -> Any:
    """A runner of parts that only notes down which it was given."""

    def run(work: Path, name: str, scale: float) -> dict[str, Any]:
        runs.append(name)
        result = {**RESULT, "part": name, "scale": scale, "reached": reached}
        (work / f"{name}.json").write_text(json.dumps(result))
        return result

    return run


@pytest.mark.parametrize("name", names())
def test_every_part_has_what_the_runner_needs(name: str) -> None:
    part = load(name)
    assert [has for has in HAS if not hasattr(part, has)] == []
    assert 0 < part.SMALL < 1
    assert part.MINUTES > 0


def test_what_has_a_result_at_this_scale_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []
    monkeypatch.setattr(runner, "run", ran(runs))
    assert runner.run_all(tmp_path, ["adds", "starts"], 0.5) == []
    assert runner.run_all(tmp_path, ["adds", "starts", "kills"], 0.5) == []
    assert runner.run_all(tmp_path, ["adds"], 1.0) == []
    assert runs == ["adds", "starts", "kills", "adds"]


def test_what_missed_its_target_stays_missed_until_its_result_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []
    monkeypatch.setattr(runner, "run", ran(runs, reached=False))
    assert runner.run_all(tmp_path, ["adds"], 0.5) == ["adds"]
    assert runner.run_all(tmp_path, ["adds"], 0.5) == ["adds"]
    (tmp_path / "adds.json").unlink()
    assert runner.run_all(tmp_path, ["adds"], 0.5) == ["adds"]
    assert runs == ["adds", "adds"]


def test_what_needs_a_tool_that_is_missing_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    part = SimpleNamespace(TITLE="", MINUTES=1.0, missing=lambda: "no compiler")
    monkeypatch.setattr(runner, "load", lambda _: part)
    assert runner.run_all(tmp_path, ["adds"], 1.0) == []
    assert capsys.readouterr().out == "[1/1] adds is left out: no compiler\n"


def test_a_part_that_ends_without_a_result_is_missed_and_leaves_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "adds").mkdir()
    (tmp_path / "adds" / "leftover").touch()
    assert runner.run(tmp_path, "adds", float("nan")) is None
    assert (tmp_path / "adds").is_dir()
    assert not (tmp_path / "adds" / "leftover").exists()
    assert not (tmp_path / "adds.json").exists()


def test_the_report_has_every_part_with_its_figures_or_as_not_run() -> None:
    missed = {**RESULT, "part": "gc", "reached": False, "scale": 0.1, "machine": "4 cores"}
    lines = report.render({"adds": RESULT, "gc": missed}).splitlines()
    rows = {line.split(" | ")[0].strip("| "): line for line in lines if line.startswith("| ")}
    assert sorted(rows) == sorted(["part", *names()])
    assert rows["adds"].endswith("| 8,000 adds, 0 lost, 160.5 adds per s | yes | 1:23 |")
    assert "| at scale 0.1: 8,000 adds" in rows["gc"]
    assert "| **no** |" in rows["gc"]
    assert rows["kills"].endswith("| not run | | |")
    assert lines[-7::2] == [
        "Machine (adds): 2 cores.",
        "Machine (gc): 4 cores.",
        "Versions: Python 3.11.9, SQLite 3.40.1 (TRUNCATE).",
        "Commit: abc1234.",
    ]


@pytest.mark.parametrize(("scale", "size"), [(1, 500), (0.5, 250), (0.001, 1), (2, 1_000)])
def test_sizes_are_in_proportion_and_never_nothing(scale: float, size: int) -> None:
    assert sized(500, scale) == size


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (754, "12:34")])
def test_time_reads_as_minutes_and_seconds(seconds: float, text: str) -> None:
    assert clock(seconds) == text
