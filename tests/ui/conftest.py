"""A home with two tasks and a router, made once by the commands, and commands to run in a copy of it."""

import shutil
from pathlib import Path

import pytest

from tests.ui.commands import Command, Trained, run, train


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_llama_folder: Path) -> Trained:
    return train(tmp_path_factory.mktemp("trained"), tiny_llama_folder)


@pytest.fixture
def registry_command(trained: Trained, tmp_path: Path) -> Command:
    """`registry_command("experts", "--json")` in a copy of the trained home, which a test may change."""
    home = tmp_path / "copy"
    shutil.copytree(trained.home, home)
    return lambda *arguments, stdin=None: run(home, *arguments, stdin=stdin)


@pytest.fixture
def empty_command(tmp_path: Path) -> Command:
    """The same in a home that does not exist yet."""
    return lambda *arguments, stdin=None: run(tmp_path / "new", *arguments, stdin=stdin)
