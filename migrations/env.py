"""Runs the revisions. `registry.migration` gives the connection, inside its own transaction and checks.

By hand, for a new revision (see docs/schema.md):
    alembic -c migrations/alembic.ini -x home=DIR revision --autogenerate --rev-id 0002 -m "what changes"
"""

from pathlib import Path
from typing import Literal

from alembic import context
from sqlalchemy import Connection, Engine, TypeDecorator

from registry import schema, sqlite


def run(connection: Connection) -> None:
    """Runs all revisions asked for inside the connection's transaction."""
    context.configure(
        connection=connection,
        target_metadata=schema.experts.metadata,
        render_as_batch=True,
        render_item=render_item,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def render_item(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Writes a type of ours as the text that it is in the database, so that a revision stays as it is."""
    return "sa.Text()" if kind == "type" and isinstance(item, TypeDecorator) else False


def run_on(engine: Engine) -> None:
    """Runs all revisions asked for in one transaction of their own."""
    with engine.connect() as connection, connection.begin():
        run(connection)


given = context.config.attributes.get("connection")
if isinstance(given, Connection):
    run(given)
elif given is not None:
    run_on(given)
else:
    home = Path(context.get_x_argument(as_dictionary=True)["home"])
    run_on(sqlite.engine(home / "registry.db", foreign_keys=False))
