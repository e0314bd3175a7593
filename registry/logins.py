"""Who may log in to a server, and the secrets that each is known by: these tables of `registry.schema`."""

from sqlalchemy import REAL, Column, ForeignKey, Index, Text, UniqueConstraint

from registry.columns import Time
from registry.tables import digest, table

users = table(
    "users",
    Column("name", Text, primary_key=True),
    Column("password", Text, nullable=False),
    Column("created_at", Time, nullable=False),
)

# Of the secrets in cookies and headers only digests are kept.
sessions = table(
    "sessions",
    Column("sha256", Text, primary_key=True),
    Column("user", Text, ForeignKey("users.name"), nullable=False),
    Column("expires_at", REAL, nullable=False),
    Column("created_at", Time, nullable=False),
    digest("sha256"),
)
Index(None, sessions.c.user)

tokens = table(
    "tokens",
    Column("sha256", Text, primary_key=True),
    Column("user", Text, ForeignKey("users.name"), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    UniqueConstraint("user", "name"),
    digest("sha256"),
)
