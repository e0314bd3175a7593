"""Indexes by time, and of the few numbers over all tasks of a generation: for lists that have become long."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TIMES = (
    ("alias_events", "created_at"),
    ("datasets", "created_at"),
    ("experts", "created_at"),
    ("generations", "created_at"),
    ("jobs", "created_at"),
    ("jobs", "finished_at"),
    ("retirements", "created_at"),
    ("runs", "finished_at"),
)


def upgrade() -> None:
    for table, column in TIMES:
        op.create_index(f"ix_{table}_{column}", table, [column])
    op.create_index(
        "ix_evaluations_together", "evaluations", ["generation"], sqlite_where=sa.text("task IS NULL")
    )


def downgrade() -> None:
    op.drop_index("ix_evaluations_together", "evaluations")
    for table, column in reversed(TIMES):
        op.drop_index(f"ix_{table}_{column}", table)
