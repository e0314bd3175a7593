"""Everything without a mouse: from a question to a task, its job, the router and production."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import FileChooser, Locator, Page, expect

from tests.browser.visit import TABS, Visit
from tests.ui.commands import mood_rows, run, write_csv
from tests.ui.server.serving import Server, serving

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
Visiting = Callable[[Server], Visit]

FAR = 120
"""Presses of a key after which what is wanted counts as out of reach."""
FOCUS = """wanted => {
    const one = document.activeElement, style = getComputedStyle(one);
    const framed = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
    return [one === wanted, one === document.body || framed ? '' : one.outerHTML];
}"""
"""Whether it is on what is wanted; and what it is on without a frame around it."""


class Keys:
    """A keyboard and nothing else; the focus is seen wherever it goes."""

    def __init__(self, seen: Visit) -> None:
        self.seen = seen
        self.page: Page = seen.page
        self.choosers: list[FileChooser] = []
        self.page.on("filechooser", self._opened)

    def _opened(self, chooser: FileChooser) -> None:
        self.choosers.append(chooser)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def reach(self, wanted: Locator, key: str = "Tab") -> None:
        """Presses a key until the focus is on what is wanted."""
        expect(wanted).to_be_visible()
        for pressed in range(FAR):
            there, unframed = wanted.evaluate(FOCUS)
            assert not pressed or unframed == ""
            if there:
                return
            self.press(key)
        raise AssertionError(f"{wanted} is out of reach of {key}")

    def fill(self, label: str, text: str, key: str = "Tab") -> None:
        """Types over what a field holds."""
        self.reach(self.seen.box(label), key)
        self.press("Control+a")
        self.page.keyboard.type(text)

    def push(self, name: str, *, by: str = "Enter", key: str = "Tab") -> None:
        """Presses a button."""
        self.reach(self.seen.button(name), key)
        self.press(by)

    def unfold(self, name: str, key: str = "Tab") -> None:
        """Opens a fold by what stands on it."""
        self.reach(self.page.get_by_role("button", name=re.compile(f"^{name}")).locator("visible=true"), key)
        self.press("Enter")

    def choose(self, file: Path) -> None:
        """Opens the system's dialog with the button that has the focus, and answers for it."""
        self.press("Space")
        for _ in range(600):
            if self.choosers:
                break
            self.page.wait_for_timeout(100)
        self.choosers.pop().set_files(file)

    def open(self, title: str, key: str = "Shift+Tab") -> None:
        """Opens a tab: back from what is below the tabs, or on past the end of the page."""
        tab = self.page.get_by_role("tab", name=title, exact=True)
        self.reach(tab, key)
        self.press("Enter")
        expect(tab).to_have_attribute("aria-selected", "true")


def test_a_keyboard_is_enough(home: Path, visit: Visiting, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "moods.csv", mood_rows())
    run(home, "retrain-router", "--router", "lexical", "--promote", "--device", "cpu")
    with serving(home) as server:
        seen = visit(server)
        keys = Keys(seen)
        through_all_tabs(keys)
        ask(keys)
        add_a_task_and_cancel_it(keys, file)
        fit_promote_and_roll_back(keys)
        seen.check()
        seen.page.close()


def through_all_tabs(keys: Keys) -> None:
    keys.reach(keys.page.get_by_role("tab", name=TABS[0], exact=True), "Shift+Tab")
    for title in TABS[1:]:
        keys.reach(keys.page.get_by_role("tab", name=title, exact=True))
        keys.press("Enter")
        expect(keys.page.locator("[role=tabpanel]:visible")).to_have_count(1)
        expect(keys.page.get_by_role("tab", selected=True)).to_have_text(title)


def ask(keys: Keys) -> None:
    """Of the router, then of an expert by name."""
    keys.open("Playground")
    keys.fill("Text", "The soup was lovely.")
    keys.push("Answer")
    keys.seen.shows("Answer", "mood@1 answers")
    keys.unfold("Who answers", "Shift+Tab")
    keys.fill("Who answers", "topic@1")
    keys.press("Enter")
    keys.push("Answer", by="Space")
    keys.seen.shows("Answer", "topic@1 answers")


def add_a_task_and_cancel_it(keys: Keys, file: Path) -> None:
    keys.open("Add a task")
    keys.reach(keys.page.locator("[role=tabpanel]:visible button[aria-label*='upload']").first)
    keys.choose(file)
    keys.seen.shows("What was found", "120 rows can be taken")
    epochs = keys.page.get_by_label("Epochs at most").locator("visible=true")
    keys.reach(epochs)
    keys.press("Control+a", *"5000")
    keys.unfold("More settings")
    keys.fill("Epochs without gain before it stops", "5000")
    keys.push("Train an expert")
    keys.seen.shows("Now", re.compile(r"Job 5 \(add task\) is running"))
    keys.push("Cancel", by="Space")
    keys.seen.shows("Now", re.compile(r"Job 5 \(add task\) is cancelled"))


def fit_promote_and_roll_back(keys: Keys) -> None:
    keys.open("Router")
    expect(keys.seen.card("router@2")).to_be_visible()
    candidate = keys.page.get_by_role("radio", name="no, only a candidate")
    keys.reach(candidate)
    keys.press("Space")
    expect(candidate).to_be_checked()
    keys.push("Fit the next generation", by="Space")
    keys.seen.shows("Done", "Job 6 fits the next generation")
    keys.open("Jobs", "Tab")
    keys.fill("Job", "6")
    keys.seen.shows("Now", re.compile(r"Job 6 \(retrain router\) is done"))
    keys.open("Router")
    expect(keys.seen.cell("router@2")).to_be_visible()
    keys.fill("Generation", "router@1")
    keys.press("Enter")
    expect(keys.seen.card("router@1")).to_be_visible()
    keys.push("Put this generation into production")
    keys.seen.shows("Done", "router@production now stands for router@1.")
    keys.push("Roll production back", key="Shift+Tab")
    keys.seen.shows("Done", "router@production stands for router@2 again.")
