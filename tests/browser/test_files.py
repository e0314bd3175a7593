"""Several files at once, and rows to validate and to test by in files of their own."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Locator, expect

from registry import Registry
from tests.browser.hostile import MARKUP
from tests.browser.visit import Visit
from tests.ui.commands import mood_rows, run, topic_rows, write_csv
from tests.ui.server.serving import Server

pytestmark = pytest.mark.timeout(300)
Visiting = Callable[[Server], Visit]

ROWS = "Rows: CSV, TSV"
FOLD = "If validation or test rows are in files of their own"


def place(panel: Locator, label: str) -> Locator:
    """Where files go, by what stands on it."""
    return panel.locator(".block:has(> [data-testid=block-label])", has_text=label)


def upload(panel: Locator, label: str) -> Locator:
    """Its input: tables have some too."""
    return place(panel, label).locator("input[type=file]")


def test_several_files_become_an_expert_each_in_one_job(
    server: Server, home: Path, visit: Visiting, tmp_path: Path
) -> None:
    parts = {"spring": mood_rows(), "autumn": topic_rows()}
    files = [write_csv(tmp_path / f"{name}.csv", rows) for name, rows in parts.items()]
    seen = visit(server)
    panel = seen.open("Add a task")
    upload(panel, ROWS).set_input_files(files)
    seen.shows("What was found", re.compile(r"spring\.csv:\n  120 rows can.*autumn\.csv:\n  \d+ rows", re.S))
    seen.shows("What the name leads to", re.compile(r"spring@1\.\n.*autumn@1\."))
    seen.shows("What it will take", re.compile(r"^spring: .*\nautumn: .*\nAll 2, one after the other: at"))
    panel.get_by_label("Epochs at most").fill("1")
    seen.button("Train an expert of each").click()
    seen.shows("Now", re.compile(r"\(add tasks\) is queued"))
    seen.unfold("The same as a command and in Python")
    expect(seen.page.get_by_text("registry add-task --data spring.csv --data autumn.csv")).to_be_visible()
    assert run(home, "worker", "--drain").code == 0
    seen.shows("Now", re.compile(r"\(add tasks\) is done\. It made spring@1, autumn@1\."))
    expect(panel.get_by_role("link", name="autumn@1", exact=True)).to_be_visible()


def test_a_file_among_several_that_is_refused_stops_them_all(
    server: Server, visit: Visiting, tmp_path: Path
) -> None:
    bad = write_csv(tmp_path / "bad.csv", [("fine", "good"), ("dull", MARKUP[1])])
    good = write_csv(tmp_path / "good.csv", mood_rows())
    seen = visit(server)
    panel = seen.open("Add a task")
    upload(panel, ROWS).set_input_files([good, bad])
    seen.shows("What was found", re.compile(r"good\.csv:\n  120 rows.*bad\.csv:\n  Not taken\. bad", re.S))
    expect(seen.button("Train an expert of each")).to_be_disabled()
    seen.page.get_by_label("combine other experts by them, 8 to 64 rows").check()
    seen.shows("What was found", "Not taken. An expert is combined by one file of rows: leave one.")
    expect(seen.button("Combine experts")).to_be_disabled()
    expect(seen.page.get_by_role("button", name=FOLD)).not_to_be_visible()


def test_validation_and_test_rows_come_from_files_of_their_own(
    server: Server, home: Path, visit: Visiting, tmp_path: Path
) -> None:
    rows = mood_rows()
    train, validation, test = (
        write_csv(tmp_path / f"{name}.csv", part)
        for name, part in (("fresh", rows[:80]), ("dev", rows[80:95]), ("held", rows[95:]))
    )
    other = write_csv(tmp_path / "other.csv", [("one", "two")], ("sentence", "mood"))
    seen = visit(server)
    panel = seen.open("Add a task")
    upload(panel, ROWS).set_input_files(train)
    seen.shows("What was found", "80 rows can be taken")
    seen.unfold(FOLD)
    upload(panel, "Validation rows").set_input_files(other)
    seen.shows("What was found", "Not taken. other.csv, line 1: no column 'text', which fresh.csv has")
    expect(seen.button("Train an expert")).to_be_disabled()
    place(panel, "Validation rows").get_by_role("button", name="Clear").click()
    seen.shows("What was found", "80 rows can be taken")
    upload(panel, "Validation rows").set_input_files(validation)
    seen.shows("What was found", "95 rows can be taken")
    upload(panel, "Test rows").set_input_files(test)
    seen.shows("What was found", "120 rows can be taken: 80 to train, 15 to choose")
    panel.get_by_label("Epochs at most").fill("1")
    seen.button("Train an expert").click()
    seen.shows("Now", re.compile(r"\(add task\) is queued"))
    seen.unfold("The same as a command and in Python")
    said = "--name fresh --validation dev.csv --test held.csv"
    expect(seen.page.get_by_text(said)).to_be_visible()
    assert run(home, "worker", "--drain").code == 0
    seen.shows("Now", re.compile(r"\(add task\) is done\. It made fresh@1\."))
    with Registry(home) as registry:
        assert registry.dataset("fresh").rows == {"train": 80, "validation": 15, "test": 25}
