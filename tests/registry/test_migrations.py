"""Migrations: all or nothing, with a backup, and no row or trigger lost on the way."""

import os
import shutil
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from pytest_alembic.tests import (  # noqa: F401 - pytest collects them
    test_model_definitions_match_ddl,
    test_single_head_revision,
    test_up_down_consistency,
    test_upgrade,
)
from sqlalchemy import Engine

from registry import Registry, migration, revisions, sqlite
from registry.database import FILE, migrate
from registry.errors import DamagedError, SchemaError, StorageError
from registry.sqlite import driver
from tests.registry.samples import add_expert
from tests.stress.kills.migrating import REVISIONS, migrated, rows

BROKEN = '''"""A revision that fails half way."""

import sqlalchemy as sa
from alembic import op

from registry.frozen import rebuild

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    with rebuild("tasks") as tasks:
        tasks.add_column(sa.Column("note", sa.Text()))
    {}
'''


@pytest.fixture
def alembic_config() -> Config:
    return migration.config()


@pytest.fixture
def alembic_engine(tmp_path: Path) -> Engine:
    return sqlite.engine(tmp_path / FILE, foreign_keys=False)


@pytest.fixture
def broken(tmp_path: Path) -> Callable[[str], Path]:
    """A folder with a revision that rebuilds a parent table and then does what is given."""

    def write(statement: str) -> Path:
        folder = tmp_path / "broken"
        folder.mkdir()
        (folder / "0007_broken.py").write_text(BROKEN.format(statement))
        return folder

    return write


def test_the_revisions_that_opening_knows_are_those_on_the_disk() -> None:
    scripts = ScriptDirectory.from_config(migration.config())
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == revisions.REVISIONS
    assert scripts.get_current_head() == revisions.HEAD


def test_rebuilding_parent_tables_loses_no_row_and_no_trigger(filled: Registry) -> None:
    """With foreign keys on, as Alembic alone has it, every row that refers to one of these would go."""
    before = rows(filled.home)
    migration.upgrade(filled.home / FILE, [REVISIONS])
    assert rows(filled.home) == migrated(before)
    with closing(driver.connect(filled.home / FILE)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.execute("INSERT INTO notes VALUES (1)")
        for statement in ("UPDATE experts SET licence = 'x'", "DELETE FROM tasks", "DELETE FROM notes"):
            with pytest.raises(driver.IntegrityError, match="are frozen"):
                connection.execute(statement)


def test_a_rebuilt_table_keeps_its_checks_and_its_strictness(filled: Registry) -> None:
    def definition(table: str) -> str:
        with closing(driver.connect(filled.home / FILE)) as connection:
            found = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        return str(found[0])

    before = definition("experts")
    migration.upgrade(filled.home / FILE, [REVISIONS])
    after = definition("experts")
    for kept in ("ck_experts_sha256", "ck_experts_parent", "fk_experts_task_parent_experts", "STRICT"):
        assert kept in before
        assert kept in after
    assert "ck_experts_bytes" in after


def test_a_migration_makes_a_private_backup_of_the_state_before(filled: Registry) -> None:
    before = rows(filled.home)
    backup = migration.upgrade(filled.home / FILE, [REVISIONS])
    assert backup == filled.home / f"{FILE}.pre-0007"
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    restored = filled.home.with_name("restored")
    restored.mkdir()
    shutil.copy(backup, restored / FILE)
    assert rows(restored) == before
    with Registry(restored) as registry:
        assert [expert.name for expert in registry.experts()] == ["sst2@2", "trec@1"]


def test_three_backups_are_kept(filled: Registry) -> None:
    for number in range(5):
        old = filled.home / f"{FILE}.pre-000{number}a"
        old.write_text("")
        os.utime(old, (number, number))
    migration.upgrade(filled.home / FILE, [REVISIONS])
    assert sorted(path.name for path in filled.home.glob(f"{FILE}.pre-*")) == [
        f"{FILE}.pre-0003a",
        f"{FILE}.pre-0004a",
        f"{FILE}.pre-0007",
    ]


def test_migrating_what_is_up_to_date_does_nothing(filled: Registry) -> None:
    before = (filled.home / FILE).read_bytes()
    assert migrate(filled.home) is None
    assert (filled.home / FILE).read_bytes() == before
    assert not list(filled.home.glob("*.pre-*"))


def test_migrating_nothing_makes_a_new_home(home: Path) -> None:
    assert migrate(home) is None
    with Registry(home) as registry:
        assert registry.verify() == []


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("raise RuntimeError('half way')", RuntimeError),
        ("op.execute('CREATE TABLE tasks (a)')", Exception),
        ("op.execute('DROP TABLE runs')", SchemaError),
        ("op.execute('DELETE FROM datasets')", Exception),
    ],
)
def test_a_migration_that_fails_changes_nothing_and_can_be_run_again(
    filled: Registry, broken: Callable[[str], Path], statement: str, error: type[Exception]
) -> None:
    before = rows(filled.home)
    with pytest.raises(error):
        migration.upgrade(filled.home / FILE, [broken(statement)])
    assert rows(filled.home) == before
    assert filled.verify() == []
    migration.upgrade(filled.home / FILE, [REVISIONS])
    assert rows(filled.home) == migrated(before)


def test_a_damaged_database_is_not_migrated(registry: Registry) -> None:
    for number in range(10):
        add_expert(registry, number=number, settings_key="k" * 1_000)
    path = registry.home / FILE
    content = bytearray(path.read_bytes())
    content[-4_096:] = b"\xff" * 4_096
    path.write_bytes(content)
    with pytest.raises(DamagedError):
        migration.upgrade(path, [REVISIONS])
    assert path.read_bytes() == content
    assert {path.name for path in registry.home.iterdir() if path.is_file()} <= {FILE, f"{FILE}-journal"}


def test_a_full_disk_stops_a_migration_before_it_starts(
    filled: Registry, disk_full_after: Callable[[int], object]
) -> None:
    before = rows(filled.home)
    with disk_full_after(8_192), pytest.raises(StorageError):  # type: ignore[attr-defined]
        migration.upgrade(filled.home / FILE, [REVISIONS])
    assert rows(filled.home) == before
    assert filled.verify() == []
    migration.upgrade(filled.home / FILE, [REVISIONS])
    assert rows(filled.home) == migrated(before)


def test_going_down_and_up_again_loses_only_what_the_revision_added(filled: Registry) -> None:
    from alembic import command

    before = rows(filled.home)
    migration.upgrade(filled.home / FILE, [REVISIONS])
    scripts = migration.config([REVISIONS])
    engine = sqlite.engine(filled.home / FILE, foreign_keys=False)
    with engine.connect() as connection, connection.begin():
        scripts.attributes["connection"] = connection
        command.downgrade(scripts, revisions.HEAD)
    assert rows(filled.home) == before
    assert filled.verify() == []
