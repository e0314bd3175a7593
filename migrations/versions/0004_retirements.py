"""Which tasks and experts nobody wants in the next generation any more, and which are wanted again."""

import sqlalchemy as sa
from alembic import op

from registry.frozen import freeze

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "retirements",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("retired", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.CheckConstraint("retired IN (0, 1)", name=op.f("ck_retirements_retired")),
        sa.ForeignKeyConstraint(["task"], ["tasks.name"], name="fk_retirements_task_tasks"),
        sa.ForeignKeyConstraint(
            ["task", "version"],
            ["experts.task", "experts.version"],
            name="fk_retirements_task_version_experts",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_retirements"),
        sqlite_strict=True,
    )
    op.create_index("ix_retirements_task_version", "retirements", ["task", "version"])
    freeze("retirements", ["id"])


def downgrade() -> None:
    op.drop_table("retirements")
