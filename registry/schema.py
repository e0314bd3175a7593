"""The tables as SQLAlchemy Core sees them. `migrations/` alone makes the database; a test compares the two.

Rows of every table in `FROZEN` are added and never changed: triggers in the database refuse UPDATE, DELETE
and REPLACE. Only in those in `MOVABLE` do rows change.
"""

from sqlalchemy import (
    REAL,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    text,
)

from registry.columns import Json, JsonTuple, Note, Time
from registry.logins import sessions, tokens, users
from registry.tables import digest, metadata, table

base_models = table(
    "base_models",
    Column("fingerprint", Text, primary_key=True),
    Column("spec", Note, nullable=False),
    Column("name", Note, nullable=False),
    Column("architecture", Note, nullable=False),
    Column("hidden_size", Integer, nullable=False),
    Column("layers", Integer, nullable=False),
    Column("parameters", Integer, nullable=False),
    Column("created_at", Time, nullable=False),
    digest("fingerprint"),
)

tasks = table(
    "tasks",
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    CheckConstraint("name <> 'router'", name="name"),
)

datasets = table(
    "datasets",
    Column("task", Text, ForeignKey("tasks.name"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("sha256", Text, nullable=False),
    Column("labels", JsonTuple, nullable=False),
    Column("rows", Json, nullable=False),
    Column("columns", Json, nullable=False),
    Column("source", Note, nullable=False),
    Column("findings", JsonTuple, nullable=False),
    Column("created_at", Time, nullable=False),
    UniqueConstraint("task", "sha256"),
    CheckConstraint("version >= 1", name="version"),
    digest("sha256"),
)

runs = table(
    "runs",
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("settings", Json, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("versions", Json, nullable=False),
    Column("history", Json, nullable=False),
    Column("started_at", Time, nullable=False),
    Column("finished_at", Time, nullable=False),
    Column("seconds", REAL, nullable=False),
)

experts = table(
    "experts",
    Column("task", Text, ForeignKey("tasks.name"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("adapter", Text, nullable=False),
    Column("config", Json, nullable=False),
    Column("labels", JsonTuple, nullable=False),
    Column("base_model", Text, ForeignKey("base_models.fingerprint"), nullable=False),
    Column("dataset", Integer, nullable=False),
    Column("run", Integer, ForeignKey("runs.id"), nullable=False),
    Column("parent", Integer),
    Column("parameters", Integer, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("settings_key", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    ForeignKeyConstraint(["task", "dataset"], ["datasets.task", "datasets.version"]),
    ForeignKeyConstraint(["task", "parent"], ["experts.task", "experts.version"]),
    CheckConstraint("version >= 1", name="version"),
    CheckConstraint("parent < version", name="parent"),
    digest("sha256"),
)
Index(None, experts.c.task, experts.c.settings_key)

combinations = table(
    "combinations",
    Column("task", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("part_task", Text, nullable=False),
    Column("part_version", Integer, nullable=False),
    Column("weight", REAL, nullable=False),
    ForeignKeyConstraint(["task", "version"], ["experts.task", "experts.version"]),
    ForeignKeyConstraint(["part_task", "part_version"], ["experts.task", "experts.version"]),
    # In this order the index also answers what an expert went into.
    UniqueConstraint("part_task", "part_version", "task", "version"),
    CheckConstraint("place >= 0", name="place"),
)

generations = table(
    "generations",
    Column("number", Integer, primary_key=True),
    Column("router", Text, nullable=False),
    Column("config", Json, nullable=False),
    Column("base_model", Text, ForeignKey("base_models.fingerprint"), nullable=False),
    Column("run", Integer, ForeignKey("runs.id"), nullable=False),
    Column("parent", Integer, ForeignKey("generations.number")),
    Column("sha256", Text, nullable=False),
    Column("root", Text, nullable=False),
    Column("parameters", Integer, nullable=False),
    Column("created_at", Time, nullable=False),
    CheckConstraint("number >= 1", name="number"),
    CheckConstraint("parent < number", name="parent"),
    digest("sha256"),
    digest("root"),
)

slots = table(
    "slots",
    Column("generation", Integer, ForeignKey("generations.number"), primary_key=True),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("task", Text, nullable=False),
    Column("version", Integer, nullable=False),
    ForeignKeyConstraint(["task", "version"], ["experts.task", "experts.version"]),
    # In this order the index also answers which generations use an expert.
    UniqueConstraint("task", "version", "generation"),
    CheckConstraint("slot >= 0", name="slot"),
)

# An expert's numbers carry (expert_task, expert_version), a generation's carry generation.
evaluations = table(
    "evaluations",
    Column("id", Integer, primary_key=True),
    Column("expert_task", Text),
    Column("expert_version", Integer),
    Column("generation", Integer, ForeignKey("generations.number")),
    Column("task", Text),
    Column("dataset_version", Integer),
    Column("split", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("value", REAL, nullable=False),
    Column("examples", Integer, nullable=False),
    Column("details", Json),
    Column("created_at", Time, nullable=False),
    ForeignKeyConstraint(["expert_task", "expert_version"], ["experts.task", "experts.version"]),
    ForeignKeyConstraint(["task", "dataset_version"], ["datasets.task", "datasets.version"]),
    CheckConstraint(
        "(expert_task IS NULL) = (expert_version IS NULL) AND (expert_task IS NULL) <> (generation IS NULL)",
        name="subject",
    ),
    CheckConstraint("(task IS NULL) = (dataset_version IS NULL)", name="dataset"),
)
Index(None, evaluations.c.expert_task, evaluations.c.expert_version)
Index(None, evaluations.c.generation)
# Of a generation with hundreds of tasks, the few numbers over all of them together.
Index("ix_evaluations_together", evaluations.c.generation, sqlite_where=evaluations.c.task.is_(None))

features = table(
    "features",
    Column("key", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("about", Json, nullable=False),
    Column("created_at", Time, nullable=False),
    digest("sha256"),
)

# An expert's alias carries (task, version), a generation's carries generation and the subject 'router'.
aliases = table(
    "aliases",
    Column("subject", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("task", Text),
    Column("version", Integer),
    Column("generation", Integer, ForeignKey("generations.number")),
    Column("moved_at", Time, nullable=False),
    ForeignKeyConstraint(["task", "version"], ["experts.task", "experts.version"]),
    CheckConstraint(
        "CASE WHEN subject = 'router' THEN generation IS NOT NULL AND task IS NULL AND version IS NULL "
        "ELSE generation IS NULL AND task IS NOT NULL AND task = subject AND version IS NOT NULL END",
        name="target",
    ),
)
Index(None, aliases.c.generation)
Index(None, aliases.c.task, aliases.c.version)

alias_events = table(
    "alias_events",
    Column("id", Integer, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text),
    Column("previous", Text),
    Column("reason", Note, nullable=False),
    Column("actor", Note),
    Column("created_at", Time, nullable=False),
    # Last, where adding a column to an older database puts it: the verdict of the gate, where one was asked.
    Column("gate", Json),
    CheckConstraint("action IN ('promote', 'rollback', 'remove')", name="action"),
)
Index(None, alias_events.c.subject, alias_events.c.name)

# Of the events about one task, or one version of its expert, the latest holds. Without a version: the task.
retirements = table(
    "retirements",
    Column("id", Integer, primary_key=True),
    Column("task", Text, ForeignKey("tasks.name"), nullable=False),
    Column("version", Integer),
    Column("retired", Integer, nullable=False),
    Column("reason", Note, nullable=False),
    Column("actor", Note),
    Column("created_at", Time, nullable=False),
    ForeignKeyConstraint(["task", "version"], ["experts.task", "experts.version"]),
    CheckConstraint("retired IN (0, 1)", name="retired"),
)
Index(None, retirements.c.task, retirements.c.version)

# Times that are compared are seconds since 1970 by the database's own clock; the others are for people.
jobs = table(
    "jobs",
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("params", Json, nullable=False),
    Column("params_sha256", Text, nullable=False),
    Column("inputs", JsonTuple, nullable=False),
    Column("task", Text),
    Column("exclusive_key", Text),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("owner", Note),
    Column("lease_until", REAL),
    Column("cancel_requested", Integer, nullable=False),
    Column("progress", Json),
    Column("result", Json),
    Column("error", Json),
    Column("created_at", Time, nullable=False),
    Column("started_at", Time),
    Column("finished_at", Time),
    CheckConstraint(
        "state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'needs_recovery')", name="state"
    ),
    CheckConstraint("attempt BETWEEN 0 AND max_attempts", name="attempt"),
    CheckConstraint("cancel_requested IN (0, 1)", name="cancel_requested"),
    CheckConstraint(
        "(state = 'running') = (owner IS NOT NULL) AND (state = 'running') = (lease_until IS NOT NULL)",
        name="owner",
    ),
    CheckConstraint(
        "(state IN ('done', 'failed', 'cancelled')) = (finished_at IS NOT NULL)", name="finished_at"
    ),
    digest("params_sha256"),
)
Index(None, jobs.c.state)
# Of the jobs with one key, one runs at a time.
Index(
    "uq_jobs_running",
    jobs.c.exclusive_key,
    unique=True,
    sqlite_where=jobs.c.state == text("'running'"),
)

# By time, for the list of everything that was done.
for _time in (
    *(one.c.created_at for one in (alias_events, datasets, experts, generations, jobs, retirements)),
    *(one.c.finished_at for one in (jobs, runs)),
):
    Index(None, _time)

MOVABLE = (features, aliases, jobs, users, sessions, tokens)
FROZEN = tuple(each for each in metadata.sorted_tables if each not in MOVABLE)
