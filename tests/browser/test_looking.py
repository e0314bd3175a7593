"""Every tab opens with what it is for, and the playground says who answers and why."""

import re
from collections.abc import Callable

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from tests.browser.visit import TABS, Visit
from tests.ui.server.serving import Server

pytestmark = pytest.mark.timeout(300)
Visiting = Callable[[Server], Visit]


def test_every_tab_opens_with_what_it_is_for(server: Server, visit: Visiting) -> None:
    seen = visit(server)
    names = seen.page.get_by_role("tab").all_inner_texts()
    assert sorted({name.strip() for name in names}) == sorted(TABS)
    seen.open("Experts")
    seen.choose("mood@1")
    expect(seen.page.get_by_text("What to do with it")).to_be_visible()
    seen.open("Router")
    expect(seen.cell("router@1")).to_be_visible()
    expect(seen.pictures().first).to_be_visible()
    seen.open("Continual matrix")
    expect(seen.pictures().first).to_be_visible()
    seen.button("Check every digest").click()
    seen.shows("Digests", "2 of 2 experts of router@1")
    seen.open("Add a task")
    expect(seen.button("Train an expert")).to_be_disabled()
    seen.open("Jobs")
    seen.shows("Now", re.compile("Job 3 .* is done"))
    seen.open("Lineage")
    expect(seen.cell("topic/data@1")).to_be_visible()
    expect(seen.page.locator(".drawn svg")).to_be_visible()
    seen.open("Audit")
    seen.shows("Found", re.compile(r"\d+ events, page 1 of 1"))
    seen.open("About")
    seen.shows("Home", str(server.home))


def test_the_playground_shows_the_chosen_expert_and_its_bars(server: Server, visit: Visiting) -> None:
    seen = visit(server)
    bars = seen.pictures()
    seen.box("Text").fill("The soup was lovely.")
    seen.button("Answer").click()
    seen.shows("Answer", "mood@1")
    expect(bars).to_have_count(1)
    first = bars.get_attribute("src")
    seen.box("Text").fill("Where is film number 3?")
    seen.button("Answer").click()
    seen.shows("Answer", "topic@1")
    expect(bars).not_to_have_attribute("src", first or "")
