"""A server on a home with two tasks, and a Chromium to look at it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ui.commands import Trained, train
from tests.ui.server.serving import Server, serving

if TYPE_CHECKING:  # Tests are skipped where there is no Playwright.
    from playwright.sync_api import Browser

    from tests.browser.visit import Visit


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_llama_folder: Path) -> Trained:
    return train(tmp_path_factory.mktemp("trained"), tiny_llama_folder)


@pytest.fixture(scope="module")
def home(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, which a test may change."""
    copy = tmp_path_factory.mktemp("seen") / "home"
    shutil.copytree(trained.home, copy)
    return copy


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    with serving(home, "--no-worker") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """For one module only: while it is open, its event loop runs in this thread."""
    from tests.browser.visit import CHROMIUM, chromium

    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: apt-get install chromium")
    with chromium() as opened:
        yield opened


@pytest.fixture
def visit(browser: "Browser") -> "Iterator[Callable[..., Visit]]":
    """`visit(server)` opens its page; at the end nothing may have gone wrong on any, nor in any server's log.

    `visit(server, None)` opens it where the page itself is not what comes first.
    """
    from tests.browser.visit import Visit

    visits: list[tuple[Visit, Server]] = []

    def open_page(server: Server, first: str | None = "Playground") -> Visit:
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        visits.append((Visit(page, server.url, first), server))
        return visits[-1][0]

    yield open_page
    try:
        for seen, server in visits:
            if not seen.page.is_closed():  # Who closes a page looks at it before, and may stop its server.
                seen.check()
            assert server.printed() == ""
    finally:
        for seen, _ in visits:
            seen.page.context.close()
