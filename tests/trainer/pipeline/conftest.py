"""A home with three experts and no router, and copies of it."""

import shutil
from pathlib import Path

import pytest

from registry import Registry
from tests.trainer.samples import QUICK, TASKS, write
from trainer import add_task
from trainer.base_model import BaseModel


@pytest.fixture(scope="session")
def added(tmp_path_factory: pytest.TempPathFactory, llama: BaseModel) -> Path:
    """A home with three experts and no router."""
    folder = tmp_path_factory.mktemp("added")
    with Registry(folder / "home") as registry:
        for task in TASKS:
            add_task(registry, write(folder, task), base_model=llama, settings=QUICK)
    return folder / "home"


@pytest.fixture
def copy(added: Path, tmp_path: Path) -> Registry:
    """That home, to change at will."""
    return Registry(shutil.copytree(added, tmp_path / "copy"))
