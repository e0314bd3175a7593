"""What became of each task while others were added: accuracy by task and generation, and what was forgotten.

A task can lose in two ways. Its expert could have changed: it cannot, since a version is frozen bytes, and
both generations name the same digest (`check_digests` reads the file and compares). Or the router sends its
rows elsewhere: that is measured. A newer version of a task's expert is a new start and not forgetting, so a
task is followed from the first generation that has the version which the latest has.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from registry import Generation, Registry, measured
from registry.errors import InvalidSettingError
from registry.names import ROUTER
from ui.views.routers import ORACLE, ROUTED, ROUTING, column_of, score_of

METRICS = (ROUTED, ROUTING, ORACLE)
TASKS, GENERATIONS = 40, 30
"""Shown at once."""
LARGEST = 1_000_000
Values = Mapping[tuple[int, str, str], float]
"""By generation, task and metric."""


def show_matrix(
    registry: Registry,
    ref: str | None = None,
    *,
    metric: str = ROUTED,
    text: str = "",
    offset: int = 0,
    tasks: int = TASKS,
    generations: int = GENERATIONS,
) -> dict[str, Any]:
    """Accuracy of the tasks of a generation, by default production's, in it and in those before it.

    Args:
        text: only tasks whose name holds it; offset: skip so many of them; tasks: show so many.
        generations: so many columns at most, the last being `ref`; the first that has a task counts anyway.

    Raises:
        NotFoundError: No such generation, or none yet.
        InvalidSettingError: An unknown accuracy, or a number out of range.
    """
    _check(metric, offset=(offset, 0), tasks=(tasks, 1), generations=(generations, 1))
    latest = registry.generation(ref)
    versions = {task: int(number) for task, _, number in (name.partition("@") for name in latest.experts)}
    wanted = [task for task in versions if text.strip().lower() in task]
    chosen = wanted[offset : offset + tasks]
    learned = measured.learned(registry, chosen)
    firsts = {task: learned[task, versions[task]] for task in chosen}
    columns = list(range(max(1, latest.number - generations + 1), latest.number + 1))
    read = sorted({*columns, *firsts.values()})
    values, scores = _values(registry, read, chosen)
    had = measured.members(registry, read, chosen)
    lines = [
        {**_line(task, versions[task], firsts[task], latest, values, had), "score": scores.get(task)}
        for task in chosen
    ]
    return {
        "generation": latest.name,
        "metric": metric,
        "generations": columns,
        "tasks": chosen,
        "all_tasks": len(wanted),
        "values": [[values.get((number, task, metric)) for number in columns] for task in chosen],
        "versions": [[had.get((number, task)) for number in columns] for task in chosen],
        "per_task": lines,
        "total": _total([one for one in lines if one["learned_in"] != latest.name]),
    }


def _values(
    registry: Registry, generations: Sequence[int], tasks: Sequence[str]
) -> tuple[Values, dict[str | None, str]]:
    """What was measured of the tasks in each generation; and the score of each that has another than
    accuracy."""
    cells = measured.cells(registry, generations, split="test", tasks=tasks)
    values = {(cell.generation, cell.task or "", column_of(cell.metric)): cell.value for cell in cells}
    return values, {cell.task: score for cell in cells if (score := score_of(cell.metric)) is not None}


def check_digests(registry: Registry, ref: str | None = None) -> dict[str, Any]:
    """Reads every file behind a generation, and compares it with the digest on record and in its manifest.

    `identical` experts are, bit for bit, what they were when they were frozen.
    """
    generation = registry.generation(ref)
    problems = [
        {"subject": problem.subject, "what": problem.what} for problem in registry.verify(generation.name)
    ]
    changed = {problem["subject"] for problem in problems} & set(generation.experts)
    return {
        "generation": generation.name,
        "root": generation.root,
        "experts": len(generation.experts),
        "identical": len(generation.experts) - len(changed),
        "problems": problems,
    }


def _check(metric: str, **numbers: tuple[int, int]) -> None:
    if metric not in METRICS:
        raise InvalidSettingError(f"Accuracy {metric!r} is unknown. Choose one of {', '.join(METRICS)}.")
    for name, (given, least) in numbers.items():
        if not least <= given <= LARGEST:
            raise InvalidSettingError(f"{name.capitalize()} {given} does not fit: {least} to {LARGEST:,}.")


def _line(
    task: str,
    version: int,
    first: int,
    latest: Generation,
    values: Values,
    had: Mapping[tuple[int, str], int],
) -> dict[str, Any]:
    learned, now = values.get((first, task, ROUTED)), values.get((latest.number, task, ROUTED))
    same = [
        value
        for (number, name, metric), value in values.items()
        if name == task and metric == ROUTED and had.get((number, task)) == version
    ]
    change = None if learned is None or now is None else now - learned
    before, after = values.get((first, task, ORACLE)), values.get((latest.number, task, ORACLE))
    return {
        "task": task,
        "expert": f"{task}@{version}",
        "learned_in": f"{ROUTER}@{first}",
        "learned": learned,
        "now": now,
        # The same version in both: the same digest, the same bytes, the same answers.
        "experts": 0.0,
        "routing": change,
        "forgetting": None if now is None or not same else max(same) - now,
        "oracle_change": None if before is None or after is None else after - before,
    }


def _total(older: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over tasks that were learned before the latest generation; `routing` is the backward transfer."""
    found = [one for one in older if one["routing"] is not None]
    return {
        "tasks": len(found),
        "experts": 0.0,
        "routing": fmean(one["routing"] for one in found) if found else None,
        "forgetting": fmean(one["forgetting"] for one in found) if found else None,
    }
