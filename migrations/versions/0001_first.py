"""The first tables."""

import sqlalchemy as sa
from alembic import op

from registry.frozen import freeze

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


# Each frozen table with its unique keys.
FROZEN = {
    "base_models": [["fingerprint"]],
    "tasks": [["name"]],
    "datasets": [["task", "version"], ["task", "sha256"]],
    "runs": [["id"]],
    "experts": [["task", "version"]],
    "generations": [["number"]],
    "slots": [["generation", "slot"], ["task", "version", "generation"]],
    "evaluations": [["id"]],
    "alias_events": [["id"]],
}
TABLES = [
    "base_models",
    "tasks",
    "datasets",
    "runs",
    "experts",
    "generations",
    "slots",
    "evaluations",
    "features",
    "aliases",
    "alias_events",
]


def upgrade() -> None:
    _models_and_tasks()
    _experts()
    _routers()
    _numbers()
    _aliases()
    for table, keys in FROZEN.items():
        freeze(table, *keys)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _models_and_tasks() -> None:
    """The base models, and each task with the versions of its rows."""
    op.create_table(
        "base_models",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("architecture", sa.Text(), nullable=False),
        sa.Column("hidden_size", sa.Integer(), nullable=False),
        sa.Column("layers", sa.Integer(), nullable=False),
        sa.Column("parameters", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.CheckConstraint("length(fingerprint) = 64", name=op.f("ck_base_models_fingerprint")),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_base_models"),
        sqlite_strict=True,
    )
    op.create_table(
        "tasks",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.CheckConstraint("name <> 'router'", name=op.f("ck_tasks_name")),
        sa.PrimaryKeyConstraint("name", name="pk_tasks"),
        sqlite_strict=True,
    )
    op.create_table(
        "datasets",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("rows", sa.Text(), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.CheckConstraint("length(sha256) = 64", name=op.f("ck_datasets_sha256")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_datasets_version")),
        sa.ForeignKeyConstraint(["task"], ["tasks.name"], name="fk_datasets_task_tasks"),
        sa.PrimaryKeyConstraint("task", "version", name="pk_datasets"),
        sa.UniqueConstraint("task", "sha256", name="uq_datasets_task_sha256"),
        sqlite_strict=True,
    )


def _experts() -> None:
    """The runs, and the experts that came of them."""
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("versions", sa.Text(), nullable=False),
        sa.Column("history", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.Text(), nullable=False),
        sa.Column("seconds", sa.REAL(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sqlite_strict=True,
    )
    op.create_table(
        "experts",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("adapter", sa.Text(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("base_model", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("parent", sa.Integer()),
        sa.Column("parameters", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("settings_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.CheckConstraint("length(sha256) = 64", name=op.f("ck_experts_sha256")),
        sa.CheckConstraint("parent < version", name=op.f("ck_experts_parent")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_experts_version")),
        sa.ForeignKeyConstraint(
            ["base_model"], ["base_models.fingerprint"], name="fk_experts_base_model_base_models"
        ),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_experts_run_runs"),
        sa.ForeignKeyConstraint(
            ["task", "dataset"],
            ["datasets.task", "datasets.version"],
            name="fk_experts_task_dataset_datasets",
        ),
        sa.ForeignKeyConstraint(
            ["task", "parent"], ["experts.task", "experts.version"], name="fk_experts_task_parent_experts"
        ),
        sa.ForeignKeyConstraint(["task"], ["tasks.name"], name="fk_experts_task_tasks"),
        sa.PrimaryKeyConstraint("task", "version", name="pk_experts"),
        sqlite_strict=True,
    )
    op.create_index("ix_experts_task_settings_key", "experts", ["task", "settings_key"])


def _routers() -> None:
    """The router's generations and the experts that each chooses among."""
    op.create_table(
        "generations",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("router", sa.Text(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("base_model", sa.Text(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("parent", sa.Integer()),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.CheckConstraint("length(root) = 64", name=op.f("ck_generations_root")),
        sa.CheckConstraint("length(sha256) = 64", name=op.f("ck_generations_sha256")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_generations_number")),
        sa.CheckConstraint("parent < number", name=op.f("ck_generations_parent")),
        sa.ForeignKeyConstraint(
            ["base_model"], ["base_models.fingerprint"], name="fk_generations_base_model_base_models"
        ),
        sa.ForeignKeyConstraint(["parent"], ["generations.number"], name="fk_generations_parent_generations"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_generations_run_runs"),
        sa.PrimaryKeyConstraint("number", name="pk_generations"),
        sqlite_strict=True,
    )
    op.create_table(
        "slots",
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("slot >= 0", name=op.f("ck_slots_slot")),
        sa.ForeignKeyConstraint(
            ["generation"], ["generations.number"], name="fk_slots_generation_generations"
        ),
        sa.ForeignKeyConstraint(
            ["task", "version"], ["experts.task", "experts.version"], name="fk_slots_task_version_experts"
        ),
        sa.PrimaryKeyConstraint("generation", "slot", name="pk_slots"),
        sa.UniqueConstraint("task", "version", "generation", name="uq_slots_task_version_generation"),
        sqlite_strict=True,
    )


def _numbers() -> None:
    """What was measured, and the cache of features."""
    op.create_table(
        "evaluations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("expert_task", sa.Text()),
        sa.Column("expert_version", sa.Integer()),
        sa.Column("generation", sa.Integer()),
        sa.Column("task", sa.Text()),
        sa.Column("dataset_version", sa.Integer()),
        sa.Column("split", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("value", sa.REAL(), nullable=False),
        sa.Column("examples", sa.Integer(), nullable=False),
        sa.Column("details", sa.Text()),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(expert_task IS NULL) = (expert_version IS NULL) "
            "AND (expert_task IS NULL) <> (generation IS NULL)",
            name=op.f("ck_evaluations_subject"),
        ),
        sa.CheckConstraint("(task IS NULL) = (dataset_version IS NULL)", name=op.f("ck_evaluations_dataset")),
        sa.ForeignKeyConstraint(
            ["expert_task", "expert_version"],
            ["experts.task", "experts.version"],
            name="fk_evaluations_expert_task_expert_version_experts",
        ),
        sa.ForeignKeyConstraint(
            ["generation"], ["generations.number"], name="fk_evaluations_generation_generations"
        ),
        sa.ForeignKeyConstraint(
            ["task", "dataset_version"],
            ["datasets.task", "datasets.version"],
            name="fk_evaluations_task_dataset_version_datasets",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_evaluations"),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_evaluations_expert_task_expert_version", "evaluations", ["expert_task", "expert_version"]
    )
    op.create_index("ix_evaluations_generation", "evaluations", ["generation"])
    op.create_table(
        "features",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.CheckConstraint("length(sha256) = 64", name=op.f("ck_features_sha256")),
        sa.PrimaryKeyConstraint("key", name="pk_features"),
        sqlite_strict=True,
    )


def _aliases() -> None:
    """The movable names and their history."""
    op.create_table(
        "aliases",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("task", sa.Text()),
        sa.Column("version", sa.Integer()),
        sa.Column("generation", sa.Integer()),
        sa.Column("moved_at", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "CASE WHEN subject = 'router' "
            "THEN generation IS NOT NULL AND task IS NULL AND version IS NULL "
            "ELSE generation IS NULL AND task IS NOT NULL AND task = subject AND version IS NOT NULL END",
            name=op.f("ck_aliases_target"),
        ),
        sa.ForeignKeyConstraint(
            ["generation"], ["generations.number"], name="fk_aliases_generation_generations"
        ),
        sa.ForeignKeyConstraint(
            ["task", "version"], ["experts.task", "experts.version"], name="fk_aliases_task_version_experts"
        ),
        sa.PrimaryKeyConstraint("subject", "name", name="pk_aliases"),
        sqlite_strict=True,
    )
    op.create_index("ix_aliases_generation", "aliases", ["generation"])
    op.create_index("ix_aliases_task_version", "aliases", ["task", "version"])
    op.create_table(
        "alias_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target", sa.Text()),
        sa.Column("previous", sa.Text()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text()),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "action IN ('promote', 'rollback', 'remove')", name=op.f("ck_alias_events_action")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_alias_events"),
        sqlite_strict=True,
    )
    op.create_index("ix_alias_events_subject_name", "alias_events", ["subject", "name"])
