"""How each job kind is asked for in a small home. Imports no torch, nor may what it calls."""

import csv
from collections.abc import Callable
from pathlib import Path

from registry import Job, Registry
from trainer.jobs import adapt, add_task, add_tasks, evaluate, retrain_router, train_mixture

QUICK = {"epochs": 2, "batch_size": 16, "max_length": 32, "first_layer": 2}
FROZEN = {"epochs": 2, "batch_size": 16, "freeze_experts": True}


def texts_of(rows: Path) -> Path:
    """The texts of some rows alone, as a corpus."""
    path = rows.with_name("corpus.csv")
    with rows.open(newline="", encoding="utf-8") as file, path.open("w", newline="", encoding="utf-8") as to:
        csv.writer(to).writerows([["text"], *([row["text"]] for row in csv.DictReader(file))])
    return path


Ask = Callable[[Registry, Path, str], Job]

ASKED: dict[str, Ask] = {
    "adapt": lambda registry, rows, base: adapt.submit(registry, rows, max_length=32, device="cpu"),
    "add_task": lambda registry, rows, base: add_task.submit(
        registry, rows, base_model=base, settings=QUICK, device="cpu"
    ),
    "add_tasks": lambda registry, rows, base: add_tasks.submit(
        registry, [rows], base_model=base, settings=QUICK, device="cpu"
    ),
    "retrain_router": lambda registry, rows, base: retrain_router.submit(
        registry, router="closed_form", device="cpu"
    ),
    "train_mixture": lambda registry, rows, base: train_mixture.submit(
        registry, texts_of(rows), experts=["mood", "question"], settings=FROZEN, device="cpu"
    ),
    "evaluate": lambda registry, rows, base: evaluate.submit(registry, "mood", device="cpu"),
}
"""By kind, given a registry with the experts mood@1 and question@1, the rows of another task, and the base
model's folder."""
