"""What a person decides: reading what went wrong behind a field of a picture, and retiring an expert."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

from registry import Registry
from tests.browser.visit import Visit
from tests.ui.server.serving import Server
from ui.plots import confusion
from ui.plots.fields import HIGH, WIDE, Layout
from ui.views.routing import show_confusion

pytestmark = pytest.mark.timeout(300)
Visiting = Callable[[Server], Visit]


def test_a_field_of_the_picture_leads_to_the_texts(server: Server, home: Path, visit: Visiting) -> None:
    seen = visit(server)
    seen.open("Router")
    expect(seen.cell("router@1")).to_be_visible()
    expect(seen.card("router@1")).to_be_visible()
    picture = seen.page.locator("[data-testid=detailed-image]:visible, .image-frame img:visible").first
    expect(picture).to_be_visible()
    with Registry(home) as registry:
        mixed = show_confusion(registry, "router@1")
    place = Layout.of(mixed["tasks"], mixed["tasks"], y=confusion.Y)
    box = picture.bounding_box()
    natural = picture.evaluate("one => [one.naturalWidth, one.naturalHeight]")
    assert box is not None
    scale = min(box["width"] / natural[0], box["height"] / natural[1], 1)
    left = (box["width"] - natural[0] * scale) / 2
    top = (box["height"] - natural[1] * scale) / 2

    def click(x: float, y: float) -> None:
        picture.click(position={"x": left + x * scale, "y": top + y * scale})

    first, second = mixed["tasks"]
    wrong = mixed["rows"][0][1]
    click(place.left + 1.5 * WIDE, place.top + 0.5 * HIGH)
    seen.shows("What was chosen", f"Rows of {first} that router@1 sent to the expert of {second}: {wrong}.")
    click(place.left + 1.5 * WIDE, place.top + 1.5 * HIGH)
    seen.shows("What was chosen", f"Rows of {second} in its own column were sent right.")
    click(place.left - 20, place.top + 0.5 * HIGH)
    seen.shows(
        "What was chosen", f"Rows of {first} that router@1 sent to the expert of another task: {wrong}."
    )


def test_an_expert_is_retired_and_taken_back_from_its_card(
    server: Server, home: Path, visit: Visiting
) -> None:
    seen = visit(server)
    seen.open("Experts")
    seen.choose("topic@1")
    seen.box("Why it is retired, or wanted again").fill("<b>bad</b> labels")
    seen.button("Retire: keep it out of generations to come").click()
    seen.shows("Done", "topic@1 is retired.")
    expect(seen.cell("<b>bad</b> labels")).to_be_visible()
    with Registry(home) as registry:
        event = registry.retirements.of("topic@1")
        assert event is not None
        assert (event.reason, event.retired) == ("<b>bad</b> labels", True)
        assert registry.retirements.of("topic") is None
    seen.page.get_by_label("its task, with all versions").locator("visible=true").check()
    seen.button("Take it back").click()
    seen.shows("Done", "topic is not retired.")
    seen.page.get_by_label("this version").locator("visible=true").check()
    seen.button("Take it back").click()
    seen.shows("Done", "topic@1 is retired no more.")
    seen.open("Audit")
    expect(seen.cell("retired: <b>bad</b> labels")).to_be_visible()


def test_a_router_is_fitted_with_the_coverage_that_was_asked_for(
    server: Server, home: Path, visit: Visiting
) -> None:
    seen = visit(server)
    seen.open("Router")
    seen.unfold("Settings of the fit")
    for share in ("2", "0.9"):
        seen.box("Coverage").fill(share)
        seen.button("Fit the next generation").click()
        if share == "2":
            assert "Coverage 2 must be above 0 and at most 1" in seen.warned()
    seen.shows("Done", "fits the next generation")
    with Registry(home) as registry:
        [job] = registry.jobs.list("queued", limit=1)
    assert (job.kind, job.params["coverage"], job.params["promote"]) == ("retrain_router", 0.9, None)
    seen.unfold("What was done, as a command and in Python")
    expect(seen.page.get_by_text("registry retrain-router --coverage 0.9")).to_be_visible()
