"""Training runs on record."""

from dataclasses import asdict

from sqlalchemy import Connection, insert, select

from registry import schema
from registry.errors import NotFoundError
from registry.records import Run, RunFacts

_table = schema.runs


def get(connection: Connection, id: int) -> Run:
    """The run of that number."""
    row = connection.execute(select(_table).where(_table.c.id == id)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no run {id}.")
    return Run(**row._mapping)


def add(connection: Connection, facts: RunFacts) -> int:
    """Puts a run on record and returns its number."""
    key = connection.execute(insert(_table).values(**asdict(facts))).inserted_primary_key
    assert key is not None
    return int(key[0])
