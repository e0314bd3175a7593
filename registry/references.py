"""Which blobs the rows refer to: what must be there, and what the collector must leave."""

import json
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, true, union

from registry import schema

GIVEN_UP = timedelta(days=30)
"""What is left of work that did not come to its end, and that nobody took up again for so long, goes."""

_jobs = schema.jobs


def referenced(
    connection: Connection, among: Collection[str] | None = None, *, at: datetime | None = None
) -> set[str]:
    """Every digest that a row refers to, or those `among` the given ones that a row refers to.

    Rows refer to blobs as experts, generations, datasets, cached features, and as inputs of jobs that need
    them still.

    Args:
        connection: The database.
        among: The digests to look for.
        at: When; now without it.
    """
    sources = _sources(datetime.now(UTC) if at is None else at)
    if among is not None:
        # As JSON, since SQLite takes a limited number of parameters.
        given = select(func.json_each(json.dumps(list(among))).table_valued("value").c.value)
        sources = [source.where(source.selected_columns[0].in_(given)) for source in sources]
    return set(connection.execute(union(*sources)).scalars())


def needs_inputs(at: datetime) -> ColumnElement[bool]:
    """Whether a job still needs its inputs: it may be run yet, or tried again.

    A job that is done has published what it made of them. One that failed or was cancelled can be
    tried again, until it is given up.
    """
    ended = _jobs.c.finished_at
    return or_(ended.is_(None), and_(_jobs.c.state != "done", ended > at - GIVEN_UP))


def _sources(at: datetime) -> list[Select[Any]]:
    tables = (schema.experts, schema.generations, schema.datasets, schema.features)
    given = func.json_each(_jobs.c.inputs).table_valued("value")
    inputs = select(given.c.value).select_from(_jobs.join(given, true())).where(needs_inputs(at))
    return [*(select(table.c.sha256) for table in tables), inputs]
