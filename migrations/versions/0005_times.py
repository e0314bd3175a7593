"""Indexes by time, so that the newest events are told at once, however many there are."""

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


def downgrade() -> None:
    for table, column in reversed(TIMES):
        op.drop_index(f"ix_{table}_{column}", table)
