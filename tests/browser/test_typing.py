"""What a person types stays, however slowly a tab answers; buttons do what they can."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from registry import Registry
from tests.browser.visit import Visit
from tests.ui.commands import mood_rows, write_csv
from tests.ui.server.serving import Server

pytestmark = pytest.mark.timeout(300)
Visiting = Callable[[Server], Visit]


@pytest.mark.parametrize(
    ("tab", "label", "card"),
    [
        ("Lineage", "Expert or generation", "Lineage of router@1"),
        ("Router", "Generation", "router@1"),
    ],
)
def test_a_name_that_is_typed_before_a_tab_has_answered_stays(
    server: Server, visit: Visiting, tab: str, label: str, card: str
) -> None:
    seen = visit(server)
    with seen.held():
        seen.open(tab)
        seen.box(label).fill("mood")
    expect(seen.card(card)).to_be_visible()
    seen.shows(label, "mood")


def test_the_name_of_a_task_that_is_typed_before_its_file_was_read_stays(
    server: Server, visit: Visiting, tmp_path: Path
) -> None:
    seen = visit(server)
    panel = seen.open("Add a task")
    with seen.held():
        panel.locator("input[type=file]").set_input_files(write_csv(tmp_path / "moods.csv", mood_rows()))
        seen.box("Name of the task").fill("mine")
    seen.shows("What was found", "120 rows can be taken")
    seen.shows("What the name leads to", "mine@1")
    seen.shows("Name of the task", "mine")
    seen.box("Name of the task").fill("")
    seen.shows("What the name leads to", "moods@1")


def test_the_base_model_that_is_typed_before_the_form_was_filled_stays(
    server: Server, visit: Visiting, tmp_path: Path
) -> None:
    seen = visit(server)
    with seen.held():
        seen.open("Add a task")
        seen.box("Base model").fill("minilm-l6")
    expect(seen.page.get_by_text(re.compile("Empty: .*tiny"))).to_be_visible()
    seen.shows("Base model", "minilm-l6")
    seen.box("Base model").press("Tab")
    seen.shows("Base model", "minilm-l6")


def test_a_job_can_be_cancelled_while_it_waits_and_retried_once_it_was(
    server: Server, home: Path, visit: Visiting
) -> None:
    with Registry(home) as registry:
        [done] = registry.jobs.list("done", limit=1)
        waiting = registry.jobs.enqueue("evaluate", {"ref": "mood@1", "split": "test", "rows": None})
    seen = visit(server)
    seen.open("Jobs")
    for number, state, cancel, retry in (
        (done.id, "done", False, False),
        (waiting.id, "queued", True, False),
    ):
        seen.box("Job").fill(f"{number}")
        seen.shows("Now", f"is {state}")
        expect(seen.button("Cancel")).to_be_enabled(enabled=cancel)
        expect(seen.button("Retry")).to_be_enabled(enabled=retry)
    seen.button("Cancel").click()
    seen.shows("Now", "is cancelled")
    expect(seen.button("Cancel")).to_be_disabled()
    seen.button("Retry").click()
    seen.shows("Now", "is queued")
    expect(seen.button("Retry")).to_be_disabled()
    seen.button("Cancel").click()
    seen.shows("Now", "is cancelled")
