"""Triggers that refuse every change to the rows of a table. Migrations make them; nothing else touches them.

It lives here, and not beside the revisions, because Alembic runs those by path: importing it from there could
find another package named `migrations` in the folder where somebody started Python.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from alembic import op
from alembic.operations import BatchOperations
from sqlalchemy import text


def freeze(table: str, *keys: Sequence[str]) -> None:
    """Makes the database refuse UPDATE, DELETE and REPLACE on `table`.

    Args:
        table: The table's name.
        keys: The columns of each unique key. `INSERT OR REPLACE` deletes the row that holds the same key
            without running any delete trigger, so it must be caught as an insert.
    """
    refuse = f"SELECT RAISE(ABORT, '{table} are frozen: rows are added, never changed');"
    taken = " OR ".join(
        f"EXISTS (SELECT 1 FROM {table} WHERE {' AND '.join(f'{column} = NEW.{column}' for column in key)})"
        for key in keys
    )
    for name, event, condition in (
        ("update", "UPDATE", ""),
        ("delete", "DELETE", ""),
        ("replace", "INSERT", f"WHEN {taken} "),
    ):
        op.execute(
            f"CREATE TRIGGER {table}_frozen_{name} BEFORE {event} ON {table} "
            f"FOR EACH ROW {condition}BEGIN {refuse} END"
        )


@contextmanager
def rebuild(table: str) -> Iterator[BatchOperations]:
    """Alters `table` by SQLite's copy and move, and puts back what that drops: its triggers and STRICT.

    Use this in place of `op.batch_alter_table`. Where the columns of a key change, `freeze` again instead.
    """
    connection = op.get_bind()
    triggers: list[Any] = list(
        connection.scalars(
            text("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table ORDER BY name"),
            {"table": table},
        )
    )
    with op.batch_alter_table(table, recreate="always", table_kwargs={"sqlite_strict": True}) as batch:
        yield batch
    for trigger in triggers:
        op.execute(text(trigger.replace(":", r"\:")))
