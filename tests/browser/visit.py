"""A page in a real Chromium, as a person sees it: everything that goes wrong on it is noted."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    Dialog,
    Locator,
    Page,
    Request,
    Response,
    Route,
    expect,
    sync_playwright,
)

CHROMIUM = Path("/usr/bin/chromium")
WAIT = 120_000.0
"""Milliseconds until what is expected must be there: on a machine with nothing else to do it takes few."""
TABS = (
    "Playground",
    "Experts",
    "Router",
    "Continual matrix",
    "Add a task",
    "Jobs",
    "Lineage",
    "Audit",
    "About",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's, without a window."""
    expect.set_options(timeout=WAIT)
    with sync_playwright() as playwright:
        # Its sandbox needs rights that containers and root do not give; it only sees pages of ours.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


TELL_OF_POLICY = """addEventListener("securitypolicyviolation",
event => console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`))"""

LEFT = ("AbortError", "Connection errored out")
"""What Gradio says of the streams that it breaks off itself when its page is left."""

QUESTIONS = "**/queue/join*"
"""What a page asks its server."""

SCROLL_THROUGH = """async panel => {
  const found = new Set();
  const collect = () => panel.querySelectorAll("[role=gridcell]").forEach(
    cell => { if (cell.checkVisibility()) found.add(cell.innerText); });
  collect();
  for (const box of panel.querySelectorAll("*")) {
    if (box.scrollHeight <= box.clientHeight + 2 || !box.querySelector("[role=gridcell]")) continue;
    for (let top = 0; top < box.scrollHeight; top += Math.max(20, box.clientHeight / 2)) {
      box.scrollTop = top;
      await new Promise(done => setTimeout(done, 60));
      collect();
    }
    box.scrollTop = 0;
  }
  return [...found];
}"""
"""Tables hold in the page only the rows that are in sight."""


class Visit:
    """One page of one server.

    Attributes:
        page: Playwright's page.
        problems: errors in the console, content policy violations among them; scripts that failed;
            answers of 400 and more; requests to other hosts; questions that the page asked.
    """

    def __init__(self, page: Page, url: str, first: str | None = "Playground") -> None:
        self.page = page
        self.problems: list[str] = []
        self._host = urlsplit(url).netloc
        page.set_default_timeout(WAIT)
        page.on("console", lambda said: self._note(said.text, said.type == "error"))
        page.on("pageerror", lambda error: self._note(str(error)))
        page.on("request", self._requested)
        page.on("response", self._answered)
        page.on("dialog", self._asked)
        page.on("load", lambda _: self.allow(*LEFT))
        page.add_init_script(TELL_OF_POLICY)
        page.goto(url)
        if first is not None:
            self.open(first)

    def _note(self, what: str, wrong: bool = True) -> None:
        if wrong:
            self.problems.append(what)

    def _requested(self, request: Request) -> None:
        parts = urlsplit(request.url)
        self._note(
            f"asked {request.url}", parts.scheme not in ("data", "blob") and parts.netloc != self._host
        )

    def _answered(self, response: Response) -> None:
        self._note(f"{response.status} {response.url}", response.status >= 400)

    def _asked(self, dialog: Dialog) -> None:
        self._note(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def check(self) -> None:
        """Asserts that nothing was noted, and that no foreign text ran as a script."""
        assert self.problems == [], self.problems
        assert self.page.evaluate("typeof window.__xss") == "undefined"

    def allow(self, *said: str) -> None:
        """Forgets what was noted and holds one of these: what a test has brought about itself."""
        self.problems = [one for one in self.problems if not any(part in one for part in said)]

    def open(self, title: str) -> Locator:
        """Opens a tab, also one that a narrow page keeps in a menu; gives what is in it."""
        tab = self.page.get_by_role("tab", name=title, exact=True)
        menu = self.page.locator(".overflow-menu > button")
        expect(tab.or_(menu).first).to_be_attached()
        if tab.is_visible():
            tab.click()
        else:
            menu.click()
            self.page.locator(".overflow-dropdown button", has_text=title).click()
        panel = self.page.locator("[role=tabpanel]:visible")
        expect(panel).to_have_count(1)
        return panel

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing that the page asks for in the block reaches the server before its end, and something is."""
        waiting: list[Route] = []

        def hold(route: Route) -> None:
            waiting.append(route)

        with self.page.expect_request(QUESTIONS) as asked:
            self.page.route(QUESTIONS, hold)
            yield
            assert asked.value
        for route in waiting:
            route.continue_()
        self.page.unroute(QUESTIONS)

    def button(self, name: str) -> Locator:
        """A button that is to be seen."""
        return self.page.get_by_role("button", name=name, exact=True).locator("visible=true")

    def unfold(self, name: str) -> None:
        """Opens a fold by what stands on it."""
        self.page.get_by_role("button", name=re.compile(f"^{re.escape(name)}")).locator(
            "visible=true"
        ).click()

    def box(self, label: str) -> Locator:
        """The field with this label that is to be seen; below the label may stand what the field is for."""
        title = self.page.get_by_test_id("block-info").and_(self.page.get_by_text(label, exact=True))
        explained = self.page.locator("label").filter(has=title).locator("input, textarea")
        return self.page.get_by_label(label, exact=True).or_(explained).locator("visible=true")

    def shows(self, label: str, text: str | re.Pattern[str]) -> None:
        """Waits until a field holds this."""
        pattern = text if isinstance(text, re.Pattern) else re.compile(re.escape(text))
        expect(self.box(label)).to_have_value(pattern)

    def cell(self, text: str) -> Locator:
        """A cell of a table, by what stands in it."""
        return self.page.locator("[role=gridcell]:visible").filter(has_text=text).first

    def card(self, name: str) -> Locator:
        """What stands above the card of an expert, a generation or a lineage."""
        return self.page.get_by_role("heading", name=name, exact=True).locator("visible=true")

    def choose(self, expert: str) -> None:
        """Clicks on an expert in their table, and waits for its card."""
        self.cell(expert).click()
        expect(self.card(expert)).to_be_visible()

    def cells(self) -> list[str]:
        """What stands in the cells of the open tab's tables, also where one has to scroll to see it."""
        panel = self.page.locator("[role=tabpanel]:visible")
        return [str(text) for text in panel.evaluate(SCROLL_THROUGH)]

    def warned(self) -> str:
        """Waits for a warning, takes it away, and gives what it said."""
        shown = self.page.get_by_test_id("toast-body")
        expect(shown.first).to_be_visible()
        said = shown.first.inner_text()
        self.page.get_by_test_id("toast-close").first.click()
        expect(shown).to_have_count(0)
        return said

    def pictures(self) -> Locator:
        """What the server has drawn for the open tab."""
        return self.page.locator("[role=tabpanel] img[src^='data:image/svg']:visible")
