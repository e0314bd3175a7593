"""What the commands say when a new generation may take production's place, and who answered when."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from registry import Registry
from tests.ui.commands import TIME, Command, Trained, assert_shape, home_of, mood_rows, run, write_csv

COMPARED = {
    "task": str,
    "answered": True,
    "rows": int,
    "before": float,
    "after": float,
    "lost": int,
    "gained": int,
    "p_value": float,
    "passed": bool,
    "points": float,
}
REFIT = ("retrain-router", "--router", "closed_form", "--device", "cpu")


@pytest.fixture(scope="module")
def rivals(trained: Trained, tmp_path_factory: pytest.TempPathFactory, tiny_llama_folder: Path) -> Path:
    """A home with one more task, of the very texts of mood, and a router before it that production has."""
    folder = tmp_path_factory.mktemp("rivals")
    home = shutil.copytree(trained.home, folder / "home")
    rows = [(text, "warm" if place % 3 else "cold") for place, (text, _) in enumerate(mood_rows())]
    data = str(write_csv(folder / "again.csv", rows))
    options = ("--base-model", str(tiny_llama_folder), "--epochs", "1", "--device", "cpu")
    assert run(home, "add-task", "--data", data, *options).code == 0
    return home


@pytest.fixture
def rivalry(rivals: Path, tmp_path: Path) -> Command:
    home = shutil.copytree(rivals, tmp_path / "copy")
    return lambda *arguments, stdin=None: run(home, *arguments, stdin=stdin)


def test_a_refused_generation_is_exit_code_6_with_the_table_of_who_lost_what(rivalry: Command) -> None:
    outcome = rivalry(*REFIT)
    assert outcome.code == 6
    lines = outcome.out.splitlines()
    assert lines[0] == "router@2 is fitted: closed_form over 3 experts."
    header = next(line for line in lines if line.startswith("task "))
    assert header.split() == ["task", "rows", "before", "after", "lost", "gained", "p", "verdict"]
    [mood] = [line for line in lines if line.startswith("mood ")]
    assert " points" in mood
    assert "Error: the gate refused router@2, which stays a candidate" in outcome.err
    assert "registry promote router@2" in outcome.err
    assert rivalry("predict", "a text", "--json").json[0]["generation"] == "router@1"
    assert rivalry("routers", "--json").json[1]["aliases"] == ["router@candidate"]


def test_the_verdict_as_json_in_every_place_that_tells_it(rivalry: Command) -> None:
    outcome = rivalry(*REFIT, "--json")
    assert outcome.code == 6
    made = json.loads(outcome.out)
    assert (made["promoted"], made["refused"]) == (False, True)
    shape = {
        "passed": False,
        "against": "router@1",
        "tolerance": 1.0,
        "level": 0.1,
        "tasks": [
            {**COMPARED, "task": "mood", "passed": False},
            {**COMPARED, "task": "topic", "passed": True},
        ],
        "together": {**COMPARED, "task": "all tasks"},
        "problem": None,
        "failed": ["mood"],
    }
    assert_shape(made["gate"], shape)
    assert rivalry("show", "candidate", "--json").json["gate"] == made["gate"]
    assert rivalry("history", "candidate", "--json").json[0]["gate"] == made["gate"]
    assert "refused: mood" in rivalry("history", "router@candidate").out
    assert "gate        refused: mood" in rivalry("show", "router@2").out


def test_promote_overrules_and_the_history_says_so(rivalry: Command) -> None:
    outcome = rivalry(*REFIT, "--promote")
    assert outcome.code == 0
    assert outcome.out.splitlines()[-1] == "router@production is router@2."
    move = rivalry("history", "--json").json[0]
    assert move["reason"].startswith("retrain-router --promote, although: mood lost ")
    assert rivalry("rollback").out == "router@production is now router@1.\n"
    again = rivalry(*REFIT)
    assert (again.code, "router@2 is not in production." in again.out) == (0, True)


def test_a_tolerance_decides_what_counts_as_lost(rivalry: Command) -> None:
    outcome = rivalry(*REFIT, "--tolerance", "100")
    assert outcome.code == 0
    assert "gate        passed, against router@1 on 2 tasks, " in outcome.out
    assert rivalry(*REFIT, "--tolerance", "101").code == 2


def test_left_out_of_the_pool_is_lost(rivalry: Command) -> None:
    outcome = rivalry(*REFIT, "--expert", "mood", "--json")
    assert outcome.code == 6
    [topic] = [one for one in json.loads(outcome.out)["gate"]["tasks"] if not one["passed"]]
    assert (topic["task"], topic["answered"], topic["after"]) == ("topic", False, 0.0)
    shown = rivalry("show", "router@2").out.splitlines()
    assert any(line.startswith("topic ") and "left out" in line for line in shown)


def test_no_promote_leaves_production_without_a_complaint(rivalry: Command) -> None:
    outcome = rivalry(*REFIT, "--no-promote")
    assert outcome.code == 0
    assert outcome.out.splitlines()[-1] == "router@2 is not in production."


# Who answered when


@pytest.fixture
def moved(registry_command: Command) -> Command:
    """Production went to router@2 and back."""
    assert registry_command(*REFIT, "--no-promote", "--seed", "1").code == 0
    assert registry_command("promote", "router@2", "--reason", "a try").code == 0
    assert registry_command("rollback").code == 0
    return registry_command


def times(command: Command) -> list[datetime]:
    with Registry(home_of(command)) as registry:
        return [move.created_at for move in reversed(registry.history())]


def test_history_at_a_moment_is_the_generation_that_answered_then(moved: Command) -> None:
    made, tried, back = times(moved)
    for when, target, begun, ended in (
        (made, "router@1", made, tried),
        (tried - timedelta(microseconds=1), "router@1", made, tried),
        (tried, "router@2", tried, back),
        (back + timedelta(microseconds=1), "router@1", back, None),
    ):
        expected = {
            "alias": "router@production",
            "target": target,
            "from": begun.isoformat(),
            "until": None if ended is None else ended.isoformat(),
            "reason": str,
            "actor": str,
        }
        for name in ("production", "router@production"):
            found = moved("history", name, "--at", when.isoformat(), "--json").json
            assert_shape(found, [expected])
    local = back.astimezone() + timedelta(microseconds=1)
    assert moved("history", "--at", local.replace(tzinfo=None).isoformat(), "--json").json[0]["until"] is None


def test_history_on_a_day_is_every_generation_that_answered_then(moved: Command) -> None:
    today = datetime.now(UTC).astimezone().date().isoformat()
    lines = moved("history", "--at", today).out.splitlines()
    assert lines[0].split()[:2] == ["target", "from"]
    assert [line.split()[0] for line in lines[1:]] == ["router@1", "router@2", "router@1"]
    assert "a try" in lines[2]
    assert lines[3].split()[3:5] == ["now", lines[3].split()[4]]


@pytest.mark.parametrize(
    ("at", "code", "words"),
    [
        ("2020-05-03", 3, "router@production stood for nothing at 2020-05-03: its first move was "),
        ("3 May", 2, "'3 May' is no time; write 2026-05-03"),
        ("0001-01-01", 2, "is no time"),
        ("9998-01-01", 2, "is yet to come"),
    ],
)
def test_times_without_an_answer_are_refused(
    registry_command: Command, at: str, code: int, words: str
) -> None:
    outcome = registry_command("history", "--at", at)
    assert (outcome.code, outcome.out) == (code, "")
    assert words in outcome.err


def test_every_move_carries_time_reason_and_actor(moved: Command) -> None:
    event = {
        "alias": "router@production",
        "action": str,
        "target": str,
        "previous": str,
        "reason": str,
        "actor": str,
        "created_at": TIME,
        "gate": None,
    }
    back, tried, made = moved("history", "--json").json
    assert_shape(back, {**event, "action": "rollback"})
    assert_shape(tried, {**event, "action": "promote", "reason": "a try"})
    assert made["gate"]["passed"] is True
