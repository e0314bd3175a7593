"""Many things looked up by one statement: what a refit would otherwise ask for expert by expert."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select

from registry import pairs, schema
from registry.records import Dataset

if TYPE_CHECKING:
    from registry.store import Registry


def datasets(registry: "Registry", versions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Dataset]:
    """`{(task, version): dataset}` of those that there are."""
    return registry._database.read(_datasets, list(versions))


def cached(registry: "Registry", keys: Iterable[str]) -> dict[str, str]:
    """`{key: digest}` of what is cached under some keys."""
    return registry._database.read(_cached, list(keys))


def _datasets(connection: Connection, versions: list[tuple[str, int]]) -> dict[tuple[str, int], Dataset]:
    table, wanted = schema.datasets, pairs.table(versions)
    rows = connection.execute(
        select(table).join(wanted, (table.c.task == wanted.c.task) & (table.c.version == wanted.c.number))
    )
    return {(row.task, row.version): Dataset(**row._mapping) for row in rows}


def _cached(connection: Connection, keys: list[str]) -> dict[str, str]:
    # As JSON, since SQLite takes a limited number of parameters.
    given = select(func.json_each(json.dumps(keys)).table_valued("value").c.value)
    table = schema.features
    rows = connection.execute(select(table.c.key, table.c.sha256).where(table.c.key.in_(given)))
    return {row.key: row.sha256 for row in rows}
