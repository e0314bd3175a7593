"""Many rows of one table at once."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Table

_AT_ONCE = 40
"""Rows of one statement: fewer cost a start each, more cost SQLite what it notes to undo the statement."""


def insert_rows(
    connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Adds rows in the order given, their values as the database keeps them.

    For the thousands of rows of a generation: statements of SQLAlchemy's take as long again as SQLite does.
    """
    whole = len(rows) - len(rows) % _AT_ONCE
    for count, part in ((_AT_ONCE, rows[:whole]), (len(rows) - whole, rows[whole:])):
        if part:
            row = f"({', '.join('?' * len(columns))})"
            statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES {', '.join([row] * count)}"
            together = [tuple(chain(*part[start : start + count])) for start in range(0, len(part), count)]
            connection.exec_driver_sql(statement, together)
