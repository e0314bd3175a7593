"""A few rows become an expert that is combined from others, and its job leads to all of them."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from registry import Registry
from tests.browser.visit import Visit
from tests.ui.commands import mood_rows, run, write_csv
from tests.ui.server.serving import Server

pytestmark = pytest.mark.timeout(300)
Visiting = Callable[[Server], Visit]

FEW = [(f"So {text.lower()}", label) for text, label in mood_rows()[::5]]
COMBINE = "combine other experts by them, 8 to 64 rows"


def test_a_few_rows_are_combined_from_other_experts(
    server: Server, home: Path, visit: Visiting, tmp_path: Path
) -> None:
    seen = visit(server)
    panel = seen.open("Add a task")
    panel.locator("input[type=file]").set_input_files(write_csv(tmp_path / "few.csv", FEW))
    seen.shows("What the name leads to", "few@1")
    seen.page.get_by_label(COMBINE).check()
    seen.shows("What it will take", "It may combine mood@1, topic@1.")
    expect(seen.page.get_by_label("Base model")).not_to_be_visible()
    seen.button("Combine experts").click()
    seen.shows("Now", re.compile(r"\(adapt\) is queued"))
    assert run(home, "worker", "--drain").code == 0
    seen.shows("Now", re.compile(r"\(adapt\) is done\. It made few@1\."))
    with Registry(home) as registry:
        parents = registry.jobs.list("done", limit=1)[0].result["combined_from"]  # type: ignore[index]
    for name in parents:
        expect(panel.get_by_role("link", name=name, exact=True)).to_be_visible()
    with seen.page.expect_popup() as opened:
        panel.get_by_role("link", name="few@1", exact=True).click()
    expect(opened.value.get_by_role("heading", name="few@1", exact=True)).to_be_visible()


def test_rows_that_cannot_be_combined_by_are_refused_before_anything_is_asked_for(
    server: Server, visit: Visiting, tmp_path: Path
) -> None:
    seen = visit(server)
    panel = seen.open("Add a task")
    panel.locator("input[type=file]").set_input_files(write_csv(tmp_path / "many.csv", mood_rows()))
    seen.shows("What was found", "120 rows can be taken")
    expect(seen.button("Train an expert")).to_be_enabled()
    seen.page.get_by_label(COMBINE).check()
    seen.shows("What was found", "Not taken. many.csv: 120 rows; adapt takes 64 at most")
    expect(seen.button("Combine experts")).to_be_disabled()
    seen.page.get_by_label("train it on the rows").check()
    expect(seen.button("Train an expert")).to_be_enabled()
