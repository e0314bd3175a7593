"""A revision for tests: alters frozen tables that others refer to, the way docs/schema.md says."""

import sqlalchemy as sa
from alembic import op

from registry.frozen import freeze, rebuild

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with rebuild("tasks") as tasks:
        tasks.add_column(sa.Column("note", sa.Text()))
    with rebuild("experts") as experts:
        experts.add_column(sa.Column("licence", sa.Text()))
        experts.create_check_constraint("bytes", "bytes > 0")
    op.create_table("notes", sa.Column("id", sa.Integer(), primary_key=True), sqlite_strict=True)
    freeze("notes", ["id"])


def downgrade() -> None:
    op.drop_table("notes")
    with rebuild("experts") as experts:
        experts.drop_constraint("bytes", type_="check")
        experts.drop_column("licence")
    with rebuild("tasks") as tasks:
        tasks.drop_column("note")
