"""A home with two tasks and a router, made once by the commands, and commands to run in a copy of it."""

import shutil
from pathlib import Path

import pytest

from tests.ui.commands import Command, Trained, mood_rows, run, topic_rows, write_csv


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_llama_folder: Path) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    home = folder / "home"
    files = {
        "mood": write_csv(folder / "mood.csv", mood_rows()),
        "topic": write_csv(folder / "topic.csv", topic_rows()),
    }
    common = ("--base-model", str(tiny_llama_folder), "--epochs", "2", "--device", "cpu", "--json")
    added = {task: run(home, "add-task", "--data", str(file), *common).json for task, file in files.items()}
    return Trained(home, files, added, run(home, "retrain-router", "--device", "cpu", "--json").json)


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
