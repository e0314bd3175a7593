"""Killed while a job is claimed, finished with its result, and while a training writes a checkpoint."""

from pathlib import Path

import torch

from registry import Registry
from registry.faults import fault
from tests.registry.samples import add_expert
from tests.stress.kills import Scene, Tally, killed_and_repeated
from trainer.checkpoints import Checkpoint
from trainer.learner import TrainingState

CLAIM = ("claim.begun", "claim.updated", "claim.committed")
FINISH = ("finish.begun", "finish.updated", "finish.committed")
CHECKPOINT = ("checkpoint.written", "checkpoint.synced", "checkpoint.renamed")


def job(home: Path, number: int, point: str) -> Tally:
    """Claims a job, publishes an expert and finishes the job with it; done again, it is published once."""
    with Registry(home) as registry:
        asked = registry.jobs.enqueue("test", {"number": number, "point": point}, inputs=[b"rows"]).id
        experts = len(registry.experts(all_versions=True))

    def work() -> None:
        with Registry(home) as registry:
            owner = registry.jobs.owner()
            claim = registry.jobs.claim(owner, 3_600, asked)
            if claim is not None:
                with registry.transaction():
                    made = add_expert(registry, number=3 * number + 100_000)
                    registry.jobs.finish(claim, {"expert": made.name})
                fault("finish.committed")
            owner.close()

    def stands() -> tuple[str, int]:
        with Registry(home) as registry:
            made = len(registry.experts(all_versions=True)) - experts
            return registry.jobs.get(asked).state, made

    left = {**dict.fromkeys(CLAIM[:2], ("queued", 0)), "finish.committed": ("done", 1)}
    return killed_and_repeated(
        point,
        work,
        left=lambda: stands() == left.get(point, ("running", 0)),
        after=lambda: stands() == ("done", 1),
    )


def checkpoint(home: Path, number: int, point: str) -> Tally:
    """Writes a training's next checkpoint over the last one."""
    run = Checkpoint(home / "cache" / "checkpoints", "run")
    if not run.path.exists():
        _save(run, 0)
    before = _step(run)
    left = before + 1 if point == "checkpoint.renamed" else before

    return killed_and_repeated(
        point,
        lambda: _save(run, before + 1),
        left=lambda: _step(run) == left,
        after=lambda: _step(run) == before + 1,
    )


SCENES = (Scene(CLAIM + FINISH, job), Scene(CHECKPOINT, checkpoint))


def _training(step: int) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    module = torch.nn.Linear(4, 2)
    optimizer = torch.optim.AdamW(module.parameters())
    module(torch.full((1, 4), float(step))).sum().backward()
    optimizer.step()
    return module, optimizer


def _save(run: Checkpoint, step: int) -> None:
    run.save(*_training(step), TrainingState(step=step))


def _step(run: Checkpoint) -> int:
    return run.load(*_training(0)).step
