"""Which blobs the rows refer to: what must be there, and what the collector must leave."""

import json
from collections.abc import Collection

from sqlalchemy import Connection, text

# A job that is done has published what it made of its inputs; every other state can still be run.
_SOURCES = (
    *(f"SELECT sha256 FROM {table}" for table in ("experts", "generations", "datasets", "features")),
    "SELECT input.value AS sha256 FROM jobs, json_each(jobs.inputs) AS input WHERE jobs.state <> 'done'",
)
_ALL = text(" UNION ".join(_SOURCES))
# As JSON, since SQLite takes a limited number of parameters.
_GIVEN = "SELECT value FROM json_each(:among)"
_AMONG = text(" UNION ".join(f"SELECT sha256 FROM ({one}) WHERE sha256 IN ({_GIVEN})" for one in _SOURCES))


def referenced(connection: Connection, among: Collection[str] | None = None) -> set[str]:
    """Every digest that a row refers to, or those `among` the given ones that a row refers to.

    Rows refer to blobs as experts, generations, datasets, cached features, and as inputs of jobs that are not
    done.
    """
    if among is None:
        return set(connection.execute(_ALL).scalars())
    return set(connection.execute(_AMONG, {"among": json.dumps(list(among))}).scalars())
