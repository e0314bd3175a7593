"""Two servers: one without users, one that asks who is there."""

from collections.abc import Iterator

import httpx
import pytest

from tests.ui.server.serving import Server, add_user, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("served") / "home", "--no-worker") as running:
        yield running


@pytest.fixture(scope="module")
def team_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("team") / "home"
    for name in ("ada", "bob", "eve"):
        add_user(home, name)
    with serving(home, "--no-worker") as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


@pytest.fixture
def stranger(team_server: Server) -> Iterator[httpx.Client]:
    with team_server.client() as opened:
        yield opened
