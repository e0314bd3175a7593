"""The generations of the router: in a list, over time, and one of them on its card."""

from collections.abc import Mapping, Sequence
from typing import Any

from registry import Registry, measured
from registry.audit import Wanted, events
from registry.measured import Summary
from registry.names import ROUTER
from ui.views.aliases import names_of
from ui.views.experts import stamp
from ui.views.intervals import measured as document

ROUTING, ROUTED, ORACLE = "routing_accuracy", "routed_accuracy", "oracle_accuracy"
METRICS = (ROUTING, ROUTED, ORACLE)
"""Rows sent to their own expert; answered rightly by the expert chosen; by their own. A task whose answers
are not right or wrong has a score of its own in the place of the last two, such as `routed_spearman`."""


def column_of(metric: str) -> str:
    """Which of METRICS a measure of one task stands in for."""
    return {"routed": ROUTED, "oracle": ORACLE}.get(metric.partition("_")[0], metric)


def score_of(metric: str) -> str | None:
    """The score that counts for a task, from the name of what the chosen experts reach."""
    return metric.removeprefix("routed_") if column_of(metric) == ROUTED else None


def list_generations(registry: Registry, *, newest: int | None = None) -> list[dict[str, Any]]:
    """All generations, or the newest few; the newest first."""
    listed = measured.summaries(registry, newest=newest)
    found: dict[int, dict[str, Any]] = {}
    for cell in measured.cells(registry, [one.number for one in listed], split="test"):
        found.setdefault(cell.generation, {})[cell.metric] = document(cell.metric, cell.value, cell.examples)
    names = names_of(registry.aliases())
    said = measured.gates(registry)
    return [
        {
            **_line(one),
            "test": found.get(one.number, {}),
            "gate": said.get(one.name),
            "aliases": names.get(one.name, []),
        }
        for one in reversed(listed)
    ]


def over_time(registry: Registry, *, task: str | None = None, newest: int = 200) -> list[dict[str, Any]]:
    """The test accuracies of each generation, oldest first: over all tasks, or of one."""
    numbers = [one.number for one in measured.summaries(registry, newest=newest)]
    found: dict[int, dict[str, float]] = {number: {} for number in numbers}
    tasks = None if task is None else [registry.task(task).name]
    for cell in measured.cells(registry, numbers, split="test", tasks=tasks):
        found[cell.generation][column_of(cell.metric)] = cell.value
    return [{"generation": number, **values} for number, values in found.items() if values]


def points(listed: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`over_time` of all tasks, from what `list_generations` found already."""
    return [
        {"generation": one["number"], **{name: found["value"] for name, found in one["test"].items()}}
        for one in reversed(listed)
        if one["test"]
    ]


def show_generation(registry: Registry, ref: str | None = None) -> dict[str, Any]:
    """Everything about one generation, by default the one in production, else the newest."""
    generation = registry.generation(ref)
    run = registry.run(generation.run)
    cells = measured.cells(
        registry,
        [generation.number],
        split="test",
        tasks=[name.partition("@")[0] for name in generation.experts],
    )
    per_task: dict[str, dict[str, Any]] = {}
    for cell in cells:
        assert cell.task is not None
        per_task.setdefault(cell.task, {})[cell.metric] = document(cell.metric, cell.value, cell.examples)
    overall = measured.cells(registry, [generation.number], split="test")
    return {
        "name": generation.name,
        "router": generation.router,
        "experts": list(generation.experts),
        "aliases": [alias.ref for alias in registry.aliases() if alias.target == generation.name],
        "parent": None if generation.parent is None else f"{ROUTER}@{generation.parent}",
        "parameters": generation.parameters,
        "sha256": generation.sha256,
        "root": generation.root,
        "test": {cell.metric: document(cell.metric, cell.value, cell.examples) for cell in overall},
        "per_task": per_task,
        "fit": generation.config.get("fit"),
        "gate": measured.gate(registry, generation.name),
        "settings": run.settings,
        "seconds": run.seconds,
        "created_at": stamp(generation.created_at),
    }


def alias_history(registry: Registry, *, limit: int = 100) -> list[dict[str, Any]]:
    """What the aliases of the router stood for, and since when: the newest move first."""
    moves, _ = events(registry, Wanted(kinds=("alias",), subject=f"{ROUTER}@"), limit=limit)
    return [
        {"at": stamp(one.at), "alias": one.subject, "actor": one.actor, "what": one.what} for one in moves
    ]


def _line(one: Summary) -> Mapping[str, Any]:
    return {
        "name": one.name,
        "number": one.number,
        "router": one.router,
        "experts": one.experts,
        "parameters": one.parameters,
        "seconds": one.seconds,
        "created_at": stamp(one.created_at),
    }
