"""Experts to mix, and what they learn from."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from registry import Registry
from tests.trainer.samples import QUICK, TASKS
from tests.trainer.tasks.samples import FILES
from trainer import MixtureSettings, train_mixture
from trainer.base_model import BaseModel
from trainer.pipeline import TrainedMixture

WRITING = replace(QUICK, rank=4, max_length=24, learning_rate=2e-2, epochs=4)


FAST = MixtureSettings(epochs=3, batch_size=16, gate_learning_rate=2e-2, learning_rate=1e-2)


STARTS = {"say": "Say it of the", "tell": "Tell me of a"}


def table(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def sayings(task: str) -> list[list[str]]:
    """The rows of an expert that writes, in words of their own; `tell` shouts."""
    shout = str.upper if task == "tell" else str
    return [
        [text.replace(STARTS["say"], STARTS[task]), shout(target)]
        for text, target in FILES["text_generation"][1:]
    ]


def mix(registry: Registry, data: Path, base: BaseModel, *experts: str, **options: object) -> TrainedMixture:
    settings = replace(FAST, **options)  # type: ignore[arg-type]
    return train_mixture(
        registry, data, experts=experts or ("say", "tell"), base_model=base, settings=settings
    )


def labelled(folder: Path) -> Path:
    rows = [[*row, task] for task in ("mood", "question") for row in TASKS[task][0]]
    return table(folder / "labelled.csv", [["text", "label", "task"], *rows])
