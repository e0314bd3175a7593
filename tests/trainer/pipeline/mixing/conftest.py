"""Two experts that write, two that classify, and a corpus."""

from dataclasses import replace
from pathlib import Path

import pytest

from registry import Registry
from tests.trainer.pipeline.mixing.corpora import WRITING, sayings, table
from tests.trainer.pipeline.steps import refit
from tests.trainer.samples import QUICK, write
from trainer import add_task
from trainer.base_model import BaseModel


@pytest.fixture(scope="module")
def home(llama: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two experts that write, of two kinds of adapters, and two that classify."""
    folder = tmp_path_factory.mktemp("mixing")
    with Registry(folder / "home") as registry:
        for task, adapter in (("say", "tt_lora"), ("tell", "lora")):
            rows = table(folder / f"{task}.csv", [["text", "target"], *sayings(task)])
            add_task(registry, rows, base_model=llama, settings=replace(WRITING, adapter=adapter))
        for task in ("mood", "question"):
            add_task(registry, write(folder, task), base_model=llama, settings=QUICK)
        refit(registry)
    return folder / "home"


@pytest.fixture
def registry(home: Path, tmp_path: Path) -> Registry:
    import shutil

    return Registry(shutil.copytree(home, tmp_path / "home"))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Targets of both experts that write."""
    rows = [row for pair in zip(sayings("say"), sayings("tell"), strict=True) for row in pair]
    return table(tmp_path / "corpus.csv", [["text", "target"], *rows])
