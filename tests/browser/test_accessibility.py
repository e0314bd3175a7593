"""axe-core finds nothing serious on any page: light and dark, wide and as narrow as a phone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.visit import TABS, Visit
from tests.ui.commands import mood_rows, write_csv
from tests.ui.server.serving import PASSWORD, Server, add_user, serving

pytestmark = pytest.mark.timeout(600)
Visiting = Callable[[Server], Visit]

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
EVERYTHING = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
CONTRAST = ["color-contrast"]
LOOKS = (("light", WIDE, EVERYTHING), ("dark", PHONE, EVERYTHING), ("dark", WIDE, CONTRAST))
"""Colours are the same at every width, and what else axe-core looks at is the same in every colour."""

SETTLED = """async () => {
    for (let calm = 0; calm < 8; calm++) {
        await new Promise(done => setTimeout(done, 50));
        const passing = one => one.effect.getComputedTiming().iterations !== Infinity;
        if (document.getAnimations().some(one => one.playState === 'running' && passing(one))) calm = 0;
    }
}"""
"""Colours on their way from light to dark are neither, and what has just been filled in is pale at first."""


def findings(page: Page, where: str) -> Iterator[str]:
    """What axe-core calls serious or critical in each look of a page."""
    for theme, size, rules in LOOKS:
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        page.set_viewport_size(size)  # type: ignore[arg-type]
        page.evaluate(SETTLED)
        found = Axe().run(page, options={"runOnly": rules, "resultTypes": ["violations"]}).response
        for violation in found["violations"]:
            if violation["impact"] in ("serious", "critical"):
                for node in violation["nodes"]:
                    yield (
                        f"{where}, {theme}, {size['width']}: {violation['id']} {node['target']} "
                        f"{node['html'][:150]} {node['failureSummary'][:250]}"
                    )
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]


def of_every_tab(seen: Visit, use: dict[str, Callable[[Visit], None]]) -> list[str]:
    found: list[str] = []
    for title in TABS:
        seen.open(title)
        use.get(title, lambda _: None)(seen)
        expect(seen.page.locator(".progress-text:visible, .meta-text:visible")).to_have_count(0)
        found += findings(seen.page, title)
    return found


def ask(seen: Visit) -> None:
    seen.box("Text").fill("The soup was lovely.")
    seen.button("Answer").click()
    seen.pictures().first.wait_for()
    for fold in ("A second text, or choices", "Who answers", "How answers are written"):
        seen.unfold(fold)
    seen.page.get_by_label("drawn at random").check()
    seen.box("Temperature").wait_for()


def open_card(seen: Visit) -> None:
    seen.choose("mood@1")
    seen.pictures().first.wait_for()


def measure(seen: Visit) -> None:
    seen.pictures().first.wait_for()
    seen.button("Measure how sure it is").click()
    seen.shows("Calibration", "expected calibration error")
    seen.unfold("Settings of the fit")
    seen.unfold("Train a mixture: experts that act together on every token")
    seen.unfold("More settings of the mixture")


def see_that_nobody_asked(seen: Visit) -> None:
    seen.page.get_by_text("Nobody has asked for work yet.").wait_for()


def test_pages_with_something_on_them(server: Server, visit: Visiting, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "moods.csv", mood_rows())

    def choose(seen: Visit) -> None:
        seen.page.locator("input[type=file]:enabled").last.set_input_files(file)
        seen.shows("What was found", "120 rows can be taken")
        seen.unfold("If validation or test rows are in files of their own")
        seen.unfold("If the columns do not say what they are")
        seen.unfold("More settings")

    seen = visit(server)
    use = {
        "Playground": ask,
        "Experts": open_card,
        "Router": measure,
        "Continual matrix": lambda seen: seen.pictures().first.wait_for(),
        "Add a task": choose,
        "Jobs": lambda seen: seen.shows("Now", "is done"),
        "Lineage": lambda seen: seen.page.locator(".drawn svg").wait_for(),
    }
    assert of_every_tab(seen, use) == []


def test_pages_with_nothing_on_them(visit: Visiting, tmp_path: Path) -> None:
    with serving(tmp_path / "home", "--no-worker") as server:
        seen = visit(server)
        assert of_every_tab(seen, {"Jobs": see_that_nobody_asked}) == []
        seen.check()
        seen.page.close()


def test_the_pages_to_log_in_and_out(browser: Browser, tmp_path: Path) -> None:
    home = tmp_path / "home"
    add_user(home, "ada")
    with serving(home, "--no-worker") as server:
        page = browser.new_page(viewport=WIDE)  # type: ignore[arg-type]
        page.goto(server.url)
        found = list(findings(page, "Log in"))
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_role("tab", name="About", exact=True).click()
        expect(page.get_by_label("Logged in as")).to_have_value("ada")
        found += findings(page, "About")
        page.get_by_role("link", name="Log out").click()
        expect(page.get_by_role("heading", name="Log out?")).to_be_visible()
        found += findings(page, "Log out")
        assert found == []
        page.close()
