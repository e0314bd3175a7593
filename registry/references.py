"""Which blobs the rows refer to: what must be there, and what the collector must leave."""

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, text

_COLUMNS = ("experts", "generations", "datasets", "features")
"""Tables whose `sha256` names a blob."""

# A job that is done has published what it made of its inputs; every other state can still be run.
_INPUTS = "SELECT input.value FROM jobs, json_each(jobs.inputs) AS input WHERE jobs.state <> 'done'"
_TABLES = " UNION ".join(f"SELECT sha256 FROM {table}" for table in _COLUMNS)
_ALL = text(f"SELECT sha256 FROM ({_TABLES} UNION {_INPUTS})")
_AMONG = text(
    " UNION ".join(f"SELECT sha256 FROM {table} WHERE sha256 IN :among" for table in _COLUMNS)
    + f" UNION {_INPUTS} AND input.value IN :among"
).bindparams(bindparam("among", expanding=True))


def referenced(connection: Connection, among: Collection[str] | None = None) -> set[str]:
    """Every digest that a row refers to, or those `among` the given ones that a row refers to.

    Rows refer to blobs as experts, generations, datasets, cached features, and as inputs of jobs that are not
    done.
    """
    found = connection.execute(_ALL) if among is None else connection.execute(_AMONG, {"among": list(among)})
    return set(found.scalars())
