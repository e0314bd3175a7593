"""What every table is made of: one collection of them, names for constraints, strict columns."""

from sqlalchemy import CheckConstraint, MetaData, Table
from sqlalchemy.schema import SchemaItem

# Named constraints, since a batch migration on SQLite can only keep or drop what has a name.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING)


def table(name: str, *items: SchemaItem) -> Table:
    """A table that SQLite holds to the types of its columns."""
    return Table(name, metadata, *items, sqlite_strict=True)


def digest(column: str) -> CheckConstraint:
    """That a column holds a SHA-256 in hexadecimal."""
    return CheckConstraint(f"length({column}) = 64", name=column)
