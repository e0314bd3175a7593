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
def visit(browser: "Browser") -> "Iterator[Callable[[Server], Visit]]":
    """`visit(server)` opens its page; at the end nothing may have gone wrong on any."""
    from tests.browser.visit import Visit

    visits: list[Visit] = []

    def open_page(server: Server) -> Visit:
        visits.append(Visit(browser.new_page(viewport={"width": 1280, "height": 900}), server.url))
        return visits[-1]

    yield open_page
    for each in visits:
        if not each.page.is_closed():
            each.check()
            each.page.close()
