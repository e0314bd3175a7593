"""Many generations at once, without the many experts of each: what lists and charts over time need."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select

from registry import schema
from registry.names import ROUTER
from registry.records import Evaluation

if TYPE_CHECKING:
    from registry.store import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A generation in one line."""

    number: int
    router: str
    experts: int
    parameters: int
    sha256: str
    root: str
    run: int
    seconds: float
    """How long its run took."""
    created_at: datetime

    @property
    def name(self) -> str:
        """Such as `router@12`."""
        return f"{ROUTER}@{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One measure of one task (of all together: None) in one generation."""

    generation: int
    task: str | None
    metric: str
    value: float
    examples: int


def summaries(registry: "Registry", *, newest: int | None = None) -> list[Summary]:
    """All generations, or the newest few; oldest first."""
    return registry._database.read(_summaries, newest)


def cells(
    registry: "Registry",
    generations: Sequence[int],
    *,
    split: str,
    tasks: Iterable[str] | None = None,
    metrics: Sequence[str] = (),
) -> list[Cell]:
    """Measures of some generations, each as last measured.

    Args:
        tasks: Those of these tasks; by default those of all tasks together.
        metrics: Some of them; by default all.
    """
    named = None if tasks is None else sorted(set(tasks))
    return registry._database.read(_cells, generations, split, named, metrics)


def together(registry: "Registry", generations: Sequence[int]) -> dict[int, dict[str, dict[str, float]]]:
    """`{generation: {split: {metric: value}}}` over all tasks together, each as last measured."""
    return registry._database.read(_together, generations)


def names(registry: "Registry") -> list[str]:
    """The names of all experts, by task and version."""
    return registry._database.read(_names)


def counts(registry: "Registry") -> dict[str, int]:
    """How many there are of `tasks`, `experts` (all versions) and `generations`."""
    return registry._database.read(_counts)


def members(
    registry: "Registry", generations: Sequence[int], tasks: Iterable[str] | None = None
) -> dict[tuple[int, str], int]:
    """`{(generation, task): version}` of the experts that some generations choose among."""
    named = None if tasks is None else sorted(set(tasks))
    return registry._database.read(_members, generations, named)


def learned(registry: "Registry", tasks: Iterable[str]) -> dict[tuple[str, int], int]:
    """`{(task, version): the first generation that chooses it}`."""
    return registry._database.read(_learned, sorted(set(tasks)))


def gates(registry: "Registry", *, newest: int | None = None) -> dict[str, str]:
    """`{generation: what was said when it became the candidate or went into production}`, the last first."""
    return registry._database.read(_gates, newest)


def _summaries(connection: Connection, newest: int | None) -> list[Summary]:
    table, slots, runs = schema.generations, schema.slots, schema.runs
    # Slots are numbered from 0, so that the last tells how many there are without counting them.
    last = select(func.max(slots.c.slot)).where(slots.c.generation == table.c.number).scalar_subquery()
    wanted = (
        select(
            table.c.number,
            table.c.router,
            (last + 1).label("experts"),
            table.c.parameters,
            table.c.sha256,
            table.c.root,
            table.c.run,
            runs.c.seconds,
            table.c.created_at,
        )
        .join(runs, runs.c.id == table.c.run)
        .order_by(table.c.number.desc())
        .limit(newest)
    )
    return [Summary(**row._mapping) for row in connection.execute(wanted)][::-1]


def _cells(
    connection: Connection,
    generations: Sequence[int],
    split: str,
    tasks: Sequence[str] | None,
    metrics: Sequence[str],
) -> list[Cell]:
    table = schema.evaluations
    wanted = (
        select(table.c.generation, table.c.task, table.c.metric, table.c.value, table.c.examples)
        .where(table.c.generation.in_(generations), table.c.split == split)
        .where(table.c.task.is_(None) if tasks is None else table.c.task.in_(tasks))
        .order_by(table.c.id)
    )
    if metrics:
        wanted = wanted.where(table.c.metric.in_(metrics))
    newest = {(row.generation, row.task, row.metric): row for row in connection.execute(wanted)}
    return [Cell(**row._mapping) for row in newest.values()]


def _together(connection: Connection, generations: Sequence[int]) -> dict[int, dict[str, dict[str, float]]]:
    table = schema.evaluations
    wanted = (
        select(table.c.generation, table.c.split, table.c.metric, table.c.value)
        .where(table.c.generation.in_(generations), table.c.task.is_(None))
        .order_by(table.c.id)
    )
    found: dict[int, dict[str, dict[str, float]]] = {number: {} for number in generations}
    for number, split, metric, value in connection.execute(wanted):
        found[number].setdefault(split, {})[metric] = value
    return found


def _names(connection: Connection) -> list[str]:
    table = schema.experts
    wanted = select(table.c.task, table.c.version).order_by(table.c.task, table.c.version)
    return [f"{task}@{version}" for task, version in connection.execute(wanted)]


def _counts(connection: Connection) -> dict[str, int]:
    tables = (schema.tasks, schema.experts, schema.generations)
    return {
        table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in tables
    }


def _members(
    connection: Connection, generations: Sequence[int], tasks: Sequence[str] | None
) -> dict[tuple[int, str], int]:
    slots = schema.slots
    wanted = select(slots.c.generation, slots.c.task, slots.c.version)
    wanted = wanted.where(slots.c.generation.in_(generations))
    if tasks is not None:
        wanted = wanted.where(slots.c.task.in_(tasks))
    return {(row.generation, row.task): row.version for row in connection.execute(wanted)}


def _learned(connection: Connection, tasks: Sequence[str]) -> dict[tuple[str, int], int]:
    slots = schema.slots
    wanted = select(slots.c.task, slots.c.version, func.min(slots.c.generation))
    wanted = wanted.where(slots.c.task.in_(tasks)).group_by(slots.c.task, slots.c.version)
    return {(task, version): first for task, version, first in connection.execute(wanted)}


def _gates(connection: Connection, newest: int | None) -> dict[str, str]:
    events = schema.alias_events
    wanted = (
        select(events.c.target, events.c.reason)
        .where(events.c.subject == ROUTER, events.c.gate.is_not(None))
        .order_by(events.c.id.desc())
        .limit(newest)
    )
    found: dict[str, str] = {}
    for row in connection.execute(wanted):
        found.setdefault(row.target, row.reason)
    return found


def scores(registry: "Registry", split: str) -> dict[str, list[Evaluation]]:
    """`{expert: its measures of a split}`, the newest of each metric, in the order first measured."""
    return registry._database.read(_scores, split)


def confusion(registry: "Registry", generation: int, split: str) -> dict[str, dict[str, int]]:
    """`{task: {task: rows}}`: where a generation sent each task's rows, as last measured."""
    return registry._database.read(_confusion, generation, split)


def gate(registry: "Registry", generation: str) -> dict[str, Any] | None:
    """The newest verdict of the promotion gate on a generation, if one was ever asked for."""
    return registry._database.read(_gate, generation)


def _gate(connection: Connection, generation: str) -> dict[str, Any] | None:
    events = schema.alias_events
    verdict: dict[str, Any] | None = connection.scalar(
        select(events.c.gate)
        .where(events.c.subject == ROUTER, events.c.target == generation, events.c.gate.is_not(None))
        .order_by(events.c.id.desc())
        .limit(1)
    )
    return verdict


def _scores(connection: Connection, split: str) -> dict[str, list[Evaluation]]:
    table = schema.evaluations
    wanted = select(table).where(table.c.expert_task.is_not(None), table.c.split == split)
    found: dict[str, dict[str, Evaluation]] = {}
    for row in connection.execute(wanted.order_by(table.c.id)):
        values = dict(row._mapping)
        name = f"{values.pop('expert_task')}@{values.pop('expert_version')}"
        del values["generation"]
        found.setdefault(name, {})[row.metric] = Evaluation(subject=name, **values)
    return {name: list(of.values()) for name, of in found.items()}


def _confusion(connection: Connection, generation: int, split: str) -> dict[str, dict[str, int]]:
    table = schema.evaluations
    wanted = (
        select(table.c.task, table.c.details)
        .where(table.c.generation == generation, table.c.split == split, table.c.task.is_not(None))
        .where(table.c.details.is_not(None))
        .order_by(table.c.id)
    )
    return {row.task: row.details["sent"] for row in connection.execute(wanted)}
