"""`python -m tests.browser.screenshots OUT [HOME]`: a picture of every tab, light and dark, wide and phone.

Of a home that is given, or of a small one made for it: three tasks and three generations of a tiny model.
Those of an empty home, and those for the documents, are in folders of their own.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.browser.visit import TABS, Visit, chromium
from tests.ui.commands import write_csv
from tests.ui.server.serving import Server, serving

SIZES = {"wide": (1280, 900), "phone": (390, 844)}
FOLDED = ("A second text, or choices", "Who answers", "How answers are written")
DOCUMENTED = {"playground": 900, "router": 1310, "continual-matrix": 800, "lineage": 1000}
"""Tabs of which the documents have a picture, and how much of them in pixels from the top."""
SETTLED = 1_500
"""Milliseconds in which a page comes to rest: no event says that nothing more will move."""


def main(out: Path, home: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        with serving(home or _trained(Path(folder)), "--no-worker") as server:
            _in_every_look(browser, server, out, full=True)
        with serving(Path(folder) / "nothing", "--no-worker") as server:
            _in_every_look(browser, server, out / "empty", full=False)


def _trained(folder: Path) -> Path:
    from tests.tiny_models import tiny_llama
    from tests.ui.commands import run, train

    base = tiny_llama(folder / "tiny-llama")
    home = train(folder, base).home
    skies = {
        "wet": ("Rain", "Drizzle", "Showers", "Hail"),
        "dry": ("Sunshine", "Drought", "Clear sky", "Heat"),
    }
    rows = [
        (f"{word} over {place} today", label)
        for label, words in skies.items()
        for word in words
        for place in ("Oslo", "Lima", "Accra", "Hanoi", "Quito", "Perth", "Cairo", "Turin", "Osaka", "Dakar")
    ]
    file = write_csv(folder / "weather.csv", rows)
    run(home, "retrain-router", "--router", "lexical", "--promote")
    run(home, "add-task", "--data", str(file), "--base-model", str(base), "--epochs", "2")
    run(home, "retrain-router", "--promote")
    return home


def _in_every_look(browser: Browser, server: Server, out: Path, *, full: bool) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for theme in ("light", "dark"):
        for size in SIZES:
            _picture_all(browser, server, out, theme, size, full=full)


def _picture_all(browser: Browser, server: Server, out: Path, theme: str, size: str, *, full: bool) -> None:
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)  # type: ignore[arg-type]
    seen = Visit(page, server.url)
    for title in TABS:
        seen.open(title)
        if full:
            _use(seen, title)
        name = title.lower().replace(" ", "-")
        _picture(page, out / f"{name}-{size}-{theme}.png")
        if full and (theme, size) == ("light", "wide") and name in DOCUMENTED:
            kept = {"x": 0, "y": 0, "width": width, "height": DOCUMENTED[name]}
            page.screenshot(path=out / "docs" / f"{name}.png", full_page=True, clip=kept)  # type: ignore[arg-type]
        if full and title in MORE:
            MORE[title](seen)
            _picture(page, out / f"{name}-open-{size}-{theme}.png")
    seen.check()
    page.close()


def _picture(page: Page, path: Path) -> None:
    page.wait_for_timeout(SETTLED)
    expect(page.locator(".progress-text:visible, .meta-text:visible")).to_have_count(0)
    page.screenshot(path=path, full_page=True)


def _unfold_the_question(seen: Visit) -> None:
    for fold in FOLDED:
        seen.unfold(fold)
    seen.page.get_by_label("drawn at random").check()
    seen.box("Temperature").wait_for()


def _combine(seen: Visit) -> None:
    rows = [(f"The {thing} was {word}.", word) for word in ("dull", "fine") for thing in "abcdefghij"]
    with tempfile.TemporaryDirectory() as folder:
        file = write_csv(Path(folder) / "few.csv", rows)
        seen.page.locator("[role=tabpanel]:visible input[type=file]").set_input_files(file)
        seen.shows("What was found", "20 rows can be taken")
    seen.page.get_by_label("combine other experts by them, 8 to 64 rows").check()
    seen.shows("What it will take", "It may combine")


MORE = {
    "Playground": _unfold_the_question,
    "Router": lambda seen: seen.unfold("Settings of the fit"),
    "Add a task": _combine,
}
"""What is opened for a second picture of a tab."""


def _use(seen: Visit, title: str) -> None:
    """As somebody would leave the tab: with something on it."""
    if title == "Playground":
        seen.box("Text").fill("What is the capital of Peru ?")
        seen.button("Answer").click()
        seen.pictures().first.wait_for()
    elif title == "Experts":
        seen.page.locator("[role=gridcell]:visible").first.click()
        seen.page.get_by_text("What to do with it").wait_for()
    elif title in ("Router", "Continual matrix"):
        seen.pictures().first.wait_for()
    elif title == "Jobs":
        seen.shows("Now", "Job")
    elif title == "Lineage":
        seen.page.locator(".drawn svg").wait_for()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else None)
