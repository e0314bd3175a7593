"""Homes of any size, filled through the registry's own interface, with all that training leaves on record.

Experts and routers hold few bytes and cannot answer; everything else (versions, rows, runs, measures, gates,
aliases, jobs) is as a team would have it after years.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from registry import Registry
from registry.records import EvaluationFacts, RunFacts
from tests.registry.samples import BASE, NOON, RUN, add_dataset, payload
from trainer.progress import Progress, silent
from trainer.tally import Tally, facts

AT_ONCE = 50
"""Versions in one transaction."""
ROWS = 40
CONFIG = {
    "architecture": {
        "adapter": "tt_lora",
        "adapter_config": {"alpha": 10.0, "modes_in": [16, 36], "modes_out": [36, 16], "rank": 5},
        "first_layer": 10,
        "labels": ["no", "yes"],
        "max_length": 128,
        "pooling": 1,
        "targets": ["q_proj", "v_proj"],
        "task_kind": "classification",
    }
}
HISTORY = [{"epoch": epoch, "loss": 0.7 / epoch, "accuracy": 0.5 + 0.08 * epoch} for epoch in range(1, 5)]
SETTINGS = {"adapter": "tt_lora", "batch": 16, "epochs": 4, "learning_rate": 1e-3, "seed": 0}


def home(
    folder: Path,
    *,
    experts: int,
    tasks: int,
    generations: int,
    slots: int,
    jobs: int = 0,
    on_progress: Progress = silent,
) -> Path:
    """A home in `folder`, made unless it is there.

    Args:
        folder: of all such homes.
        experts: versions, spread evenly over `tasks`.
        tasks: named task_0000 and so on.
        generations: the first has one expert, the last `slots`, the others as many as a steady growth gives.
        slots: at most `tasks`.
        jobs: that have ended: cancelled, which needs no worker.
        on_progress: told of every transaction.
    """
    made = folder / f"{experts}-{tasks}-{generations}-{slots}-{jobs}"
    if made.exists():
        return made
    growing = made.with_suffix(".growing")
    with Registry(growing) as registry:
        registry.add_base_model(BASE)
        _in_steps(registry, "experts", experts, on_progress, lambda place: _expert(registry, place, tasks))
        _in_steps(
            registry,
            "generations",
            generations,
            on_progress,
            lambda place: _generation(registry, max(1, slots * (place + 1) // generations), place),
        )
        _in_steps(registry, "jobs", jobs, on_progress, lambda place: _job(registry, place))
        registry.promote(f"router@{generations}", reason="the newest")
    growing.rename(made)
    return made


def _in_steps(
    registry: Registry, stage: str, total: int, on_progress: Progress, add: Callable[[int], object]
) -> None:
    for start in range(0, total, AT_ONCE):
        with registry.transaction():
            for place in range(start, min(total, start + AT_ONCE)):
                add(place)
        on_progress(stage, min(total, start + AT_ONCE), total, "")


def task_name(place: int) -> str:
    """The name of a task."""
    return f"task_{place:04d}"


def _expert(registry: Registry, place: int, tasks: int) -> None:
    task = task_name(place % tasks)
    version, third = divmod(place // tasks, 3)
    if not third:  # A task's rows change with every third version.
        add_dataset(registry, task, 1 + version)
    add_expert(registry, task, 1 + version, place)


def add_expert(registry: Registry, task: str, dataset: int, place: int, size: int = 4) -> None:
    """One more version of a task's expert, of `size` parameters in its file."""
    registry.add_expert(
        task=task,
        dataset=dataset,
        base_model=BASE.fingerprint,
        adapter="tt_lora",
        config=CONFIG,
        labels=("no", "yes"),
        parameters=33_920,
        payload=payload(place, size),
        settings_key=f"settings {place}",
        run=_run(place, "expert", HISTORY),
        evaluations=[
            EvaluationFacts(metric="accuracy", split=split, value=0.6 + place % 40 / 100, examples=ROWS)
            for split in ("validation", "test")
        ],
    )


def _generation(registry: Registry, size: int, place: int) -> None:
    # Old tasks stay at their first versions, as they do when somebody adds tasks and never changes any.
    names = [f"{task_name(slot)}@1" for slot in range(size)]
    measured = measures([name.partition("@")[0] for name in names], place)
    generation = add_generation(registry, names, place, measured)
    registry.alias("candidate", generation, reason="retrain-router: the newest")
    if place % 10 == 9:
        registry.promote(generation, reason="retrain-router: no task lost", gate=_gate(names))


def add_generation(registry: Registry, names: list[str], place: int, measured: list[EvaluationFacts]) -> str:
    """One more generation, with all that is measured of one; its name."""
    return registry.add_generation(
        router="closed_form",
        config={"router": {"kind": "closed_form", "layers": [5, 7], "passes": "one"}, "settings": SETTINGS},
        base_model=BASE.fingerprint,
        experts=names,
        parameters=577 * len(names),
        payload=payload(1_000_000 + place, 64 * len(names)),
        run=_run(place, "router", []),
        evaluations=measured,
    ).name


def _run(place: int, kind: str, history: list[dict[str, float]]) -> RunFacts:
    ended = NOON + timedelta(minutes=place)
    return replace(RUN, kind=kind, settings=SETTINGS, history=history, started_at=ended, finished_at=ended)


def measures(tasks: list[str], seed: int) -> list[EvaluationFacts]:
    """What a refit puts on record: three accuracies and coverage of each task and of all, on two splits."""
    draw = random.Random(seed)
    tallies = []
    for task in tasks:
        wrong = draw.randrange(4) if len(tasks) > 1 else 0
        sent = {task: ROWS - wrong}
        for _ in range(wrong):
            other = draw.choice(tasks)
            sent[other] = sent.get(other, 0) + 1
        shares = ((30 - wrong) / ROWS, 33 / ROWS)
        tallies.append(
            Tally(
                task=task,
                rows=ROWS,
                sent=sent,
                fitted=ROWS - wrong,
                metric="accuracy",
                routed=shares[0],
                oracle=shares[1],
                credit=shares,
            )
        )
    return [fact for split in ("validation", "test") for fact in facts(tallies, split)]


def _gate(names: list[str]) -> dict[str, object]:
    task = {"answered": True, "rows": 60, "before": 0.8, "after": 0.8, "lost": 0, "gained": 0}
    return {
        "passed": True,
        "failed": [],
        "against": "router@1",
        "tolerance": 1.0,
        "level": 0.1,
        "problem": None,
        "together": {"task": "all", **task, "p_value": 1.0, "points": 0.0, "passed": True},
        "tasks": [
            {"task": name.partition("@")[0], **task, "p_value": 1.0, "points": 0.0, "passed": True}
            for name in names
        ],
    }


def _job(registry: Registry, place: int) -> None:
    rows = {"source": f"{task_name(place)}.csv", "columns": {"text": "text", "label": "label"}}
    asked = {"task": task_name(place), "base_model": None, "rows": rows, "settings": SETTINGS}
    job = registry.jobs.enqueue("add_task", asked, task=task_name(place))
    registry.jobs.cancel(job.id)
