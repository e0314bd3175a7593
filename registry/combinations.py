"""Experts that were combined from others: which, and with what weights."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, select

from registry import schema
from registry.names import parse
from registry.records import Expert

if TYPE_CHECKING:
    from registry.store import Registry

_table = schema.combinations


def parts_of(registry: "Registry", expert: Expert) -> dict[str, float]:
    """The weight of each expert that this one was combined from, by full name, in order; none of one that was
    trained."""
    return registry._database.read(parts, expert.task, expert.version)


def parts(connection: Connection, task: str, version: int) -> dict[str, float]:
    """As `parts_of`."""
    wanted = select(_table).where(_table.c.task == task, _table.c.version == version)
    rows = connection.execute(wanted.order_by(_table.c.place))
    return {f"{row.part_task}@{row.part_version}": row.weight for row in rows}


def uses(connection: Connection, task: str, version: int) -> list[str]:
    """The experts that this one went into, by name and version."""
    wanted = select(_table.c.task, _table.c.version).where(
        _table.c.part_task == task, _table.c.part_version == version
    )
    rows = connection.execute(wanted.order_by(_table.c.task, _table.c.version))
    return [f"{row.task}@{row.version}" for row in rows]


def add(connection: Connection, task: str, version: int, weights: Mapping[str, float]) -> None:
    """Puts on record what an expert was combined from: full names and their weights."""
    for place, (name, weight) in enumerate(weights.items()):
        part = parse(name)
        connection.execute(
            insert(_table).values(
                task=task,
                version=version,
                place=place,
                part_task=part.subject,
                part_version=part.version,
                weight=weight,
            )
        )
