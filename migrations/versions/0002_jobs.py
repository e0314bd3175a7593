"""Jobs, and what the gate said when an alias moved."""

import sqlalchemy as sa
from alembic import op

from registry.frozen import rebuild

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite adds a column in place: the table keeps its triggers, and no row is touched.
    op.add_column("alias_events", sa.Column("gate", sa.Text()))
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("params_sha256", sa.Text(), nullable=False),
        sa.Column("inputs", sa.Text(), nullable=False),
        sa.Column("task", sa.Text()),
        sa.Column("exclusive_key", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("owner", sa.Text()),
        sa.Column("lease_until", sa.REAL()),
        sa.Column("cancel_requested", sa.Integer(), nullable=False),
        sa.Column("progress", sa.Text()),
        sa.Column("result", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Text()),
        sa.Column("finished_at", sa.Text()),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'needs_recovery')",
            name=op.f("ck_jobs_state"),
        ),
        sa.CheckConstraint("attempt BETWEEN 0 AND max_attempts", name=op.f("ck_jobs_attempt")),
        sa.CheckConstraint("cancel_requested IN (0, 1)", name=op.f("ck_jobs_cancel_requested")),
        sa.CheckConstraint(
            "(state = 'running') = (owner IS NOT NULL) AND (state = 'running') = (lease_until IS NOT NULL)",
            name=op.f("ck_jobs_owner"),
        ),
        sa.CheckConstraint(
            "(state IN ('done', 'failed', 'cancelled')) = (finished_at IS NOT NULL)",
            name=op.f("ck_jobs_finished_at"),
        ),
        sa.CheckConstraint("length(params_sha256) = 64", name=op.f("ck_jobs_params_sha256")),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sqlite_strict=True,
    )
    op.create_index("ix_jobs_state", "jobs", ["state"])
    op.create_index(
        "uq_jobs_running", "jobs", ["exclusive_key"], unique=True, sqlite_where=sa.text("state = 'running'")
    )


def downgrade() -> None:
    op.drop_table("jobs")
    with rebuild("alias_events") as events:
        events.drop_column("gate")
