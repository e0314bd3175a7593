"""`python -m tests.browser.screenshots OUT [HOME]`: a picture of every tab, light and dark, wide and phone.

Of a home that is given, or of a small one made for it: two tasks learned by a tiny model.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.browser.visit import TABS, Visit, chromium
from tests.ui.server.serving import Server, serving

SIZES = {"wide": (1280, 900), "phone": (390, 844)}
SETTLED = 1_500
"""Milliseconds in which a page comes to rest: no event says that nothing more will move."""


def main(out: Path, home: Path | None) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        with (
            serving(home or _trained(Path(folder)), "--no-worker") as server,
            chromium() as browser,
        ):
            for theme in ("light", "dark"):
                for size in SIZES:
                    _picture_all(browser, server, out, theme, size)


def _trained(folder: Path) -> Path:
    from tests.tiny_models import tiny_llama
    from tests.ui.commands import train

    return train(folder, tiny_llama(folder / "tiny-llama")).home


def _picture_all(browser: Browser, server: Server, out: Path, theme: str, size: str) -> None:
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)  # type: ignore[arg-type]
    seen = Visit(page, server.url)
    for title in TABS:
        seen.open(title)
        _use(seen, title)
        page.wait_for_timeout(SETTLED)
        expect(page.locator(".progress-text:visible, .meta-text:visible")).to_have_count(0)
        name = title.lower().replace(" ", "-")
        page.screenshot(path=out / f"{name}-{size}-{theme}.png", full_page=True)
    seen.check()
    page.close()


def _use(seen: Visit, title: str) -> None:
    """As somebody would leave the tab: with something on it."""
    if title == "Playground":
        seen.box("Text").fill("Who built the oldest garden on the island?")
        seen.button("Answer").click()
        seen.pictures().first.wait_for()
    elif title == "Experts":
        seen.page.wait_for_timeout(SETTLED)
        seen.page.locator("[role=gridcell]:visible").first.click()
        seen.page.get_by_text("What to do with it").wait_for()
    elif title in ("Router", "Continual matrix", "Lineage"):
        seen.pictures().first.wait_for()
    elif title == "Jobs":
        seen.page.wait_for_timeout(2 * SETTLED)  # it looks every other second


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else None)
