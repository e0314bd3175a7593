"""Which experts an expert was combined from."""

import sqlalchemy as sa
from alembic import op

from registry.frozen import freeze

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "combinations",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("part_task", sa.Text(), nullable=False),
        sa.Column("part_version", sa.Integer(), nullable=False),
        sa.Column("weight", sa.REAL(), nullable=False),
        sa.CheckConstraint("place >= 0", name=op.f("ck_combinations_place")),
        sa.ForeignKeyConstraint(
            ["task", "version"],
            ["experts.task", "experts.version"],
            name="fk_combinations_task_version_experts",
        ),
        sa.ForeignKeyConstraint(
            ["part_task", "part_version"],
            ["experts.task", "experts.version"],
            name="fk_combinations_part_task_part_version_experts",
        ),
        sa.PrimaryKeyConstraint("task", "version", "place", name="pk_combinations"),
        sa.UniqueConstraint(
            "part_task",
            "part_version",
            "task",
            "version",
            name="uq_combinations_part_task_part_version_task_version",
        ),
        sqlite_strict=True,
    )
    freeze("combinations", ["task", "version", "place"], ["part_task", "part_version", "task", "version"])


def downgrade() -> None:
    op.drop_table("combinations")
