"""The verbs as these tests call them, what a home holds, and a way to stop in the middle."""

from collections.abc import Callable
from pathlib import Path

from registry import Registry
from tests.trainer.samples import QUICK, write
from trainer import add_task, retrain_router
from trainer.base_model import BaseModel
from trainer.pipeline import AddedTask, RetrainedRouter


def state(registry: Registry) -> dict[str, object]:
    """Everything on record, and every blob."""
    return {
        "tasks": registry.tasks(),
        "datasets": [registry.datasets(task.name) for task in registry.tasks()],
        "base models": registry.base_models(),
        "experts": registry.experts(all_versions=True),
        "generations": registry.generations(),
        "aliases": registry.aliases(),
        "blobs": sorted(path.name for path in (registry.home / "blobs").rglob("*") if path.is_file()),
    }


def mood(registry: Registry, folder: Path, base: BaseModel, **options: object) -> AddedTask:
    return add_task(registry, write(folder, "mood"), base_model=base, **{"settings": QUICK, **options})


def refit(registry: Registry, **options: object) -> RetrainedRouter:
    return retrain_router(registry, **{"router": "closed_form", "device": "cpu", **options})


class Stopped(Exception):
    """Stands for a killed process."""


def stop_at(stage: str, done: int) -> Callable[[str, int, int, str], None]:
    def progress(now: str, step: int, total: int, note: str) -> None:
        if now.startswith(stage) and step == done:
            raise Stopped

    return progress
