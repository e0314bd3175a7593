"""A server that is attacked."""

import shutil
from collections.abc import Iterator

import httpx
import pytest

from tests.ui.commands import Trained
from tests.ui.server.attacks.attacking import CSV, UPLOAD, called, open_files
from tests.ui.server.serving import Server, eventually, serving


@pytest.fixture(scope="module")
def attacked(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """At the end nothing was printed, and no files have been left open."""
    home = tmp_path_factory.mktemp("attacked") / "home"
    shutil.copytree(trained.home, home)
    with serving(home, "--no-worker") as running:
        with running.client() as client:
            client.post(UPLOAD, files={"files": ("a.csv", CSV)})
            assert (
                called(client, "predict", "a text", None, None, None)[0] == "complete"
            )  # which loads the base model
        before = open_files(running)
        yield running
        assert eventually(lambda: open_files(running) <= before + 3), open_files(running)


@pytest.fixture
def client(attacked: Server) -> Iterator[httpx.Client]:
    with attacked.client() as opened:
        yield opened
