"""A page's address says what it shows, and the boxes of a lineage lead there."""

from collections.abc import Callable
from urllib.parse import quote

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from tests.browser.visit import Visit
from tests.ui.server.serving import Server

pytestmark = pytest.mark.timeout(300)
Visiting = Callable[[Server], Visit]


def test_an_address_opens_the_card_that_it_names(server: Server, visit: Visiting) -> None:
    seen = visit(server)
    for tab, name, title in (
        ("experts", "topic@1", "topic@1"),
        ("router", "router@1", "router@1"),
        ("lineage", "mood@1", "Lineage of mood@1"),
    ):
        seen.page.goto(f"{server.url}?tab={tab}&name={quote(name)}")
        expect(seen.card(title)).to_be_visible()
        assert seen.page.get_by_role("tab", selected=True).get_attribute("data-tab-id") == tab
    seen.page.goto(f"{server.url}?tab=jobs&name=2")
    seen.shows("Job", "2")
    seen.page.goto(f"{server.url}?tab=nothing&name=router@1")
    expect(seen.page.get_by_role("tab", selected=True)).to_have_text("Playground")


def test_the_boxes_of_a_lineage_lead_to_their_cards(server: Server, visit: Visiting) -> None:
    seen = visit(server)
    seen.open("Lineage")
    picture = seen.page.locator(".drawn svg")
    picture.wait_for()
    width = picture.bounding_box()
    seen.box("number input for Size of the picture (%)").fill("200")
    seen.page.keyboard.press("Tab")
    expect(picture).to_have_attribute("width", str(round(2 * (width or {"width": 0.0})["width"])))
    picture.locator("a", has_text="mood/data@1").click()
    expect(seen.page).to_have_url(f"{server.url}?tab=lineage&name=router@1&box=mood/data@1")
    expect(seen.cell("mood.csv")).to_be_visible()
    seen.page.locator(".drawn svg a", has_text="mood@1").last.click()
    expect(seen.card("mood@1")).to_be_visible()
    expect(seen.pictures().first).to_be_visible()
