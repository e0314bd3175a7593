"""Which revision of the schema a database is at, told without Alembic."""

from pathlib import Path

from sqlalchemy import Connection, text

from registry import schema
from registry.errors import SchemaError

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Every revision of `migrations/versions`, oldest first, known here so that opening needs no Alembic."""

HEAD = REVISIONS[-1]


def current(connection: Connection) -> str | None:
    """The revision that the database is at, or `None` when it holds nothing yet.

    Raises:
        SchemaError: The file is some other program's database.
    """
    tables = set(connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")))
    if not tables:
        return None
    if not {"alembic_version", schema.experts.name, schema.slots.name} <= tables:
        raise SchemaError(
            f"{connection.engine.url.database} is not a registry. Choose another REGISTRY_HOME."
        )
    at: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return at


def newer(path: Path, revision: str) -> SchemaError:
    """The error for a database that a later program has migrated."""
    return SchemaError(
        f"{path} is newer than this program: it is at revision {revision}, this program knows up to "
        f"{HEAD}. Upgrade expert-registry."
    )
