"""The database file: who may open it, what it refuses, what its errors say."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from registry import Registry, migration, revisions, schema, sqlite
from registry.database import FILE, Database, migrate
from registry.errors import DamagedError, SchemaError, StorageError
from registry.sqlite import driver
from tests.registry.conftest import ROOT
from tests.registry.samples import add_dataset, add_expert, add_generation


@contextmanager
def plain(home: Path) -> Iterator[driver.Connection]:
    """The database as any other program sees it."""
    with closing(driver.connect(home / FILE, isolation_level=None, timeout=0.1)) as connection:
        yield connection


def pragma(connection: Connection, name: str) -> object:
    return connection.scalar(text(f"PRAGMA {name}"))


def test_every_connection_waits_checks_references_and_syncs(home: Path) -> None:
    database = Database(home)
    settings = ("busy_timeout", "foreign_keys", "synchronous", "trusted_schema", "query_only")
    assert {name: database.write(pragma, name) for name in settings} == {
        "busy_timeout": 30_000,
        "foreign_keys": 1,
        "synchronous": 2,
        "trusted_schema": 0,
        "query_only": 0,
    }
    assert database.read(pragma, "query_only") == 1
    assert database.read(pragma, "journal_mode") == sqlite.journal_mode().lower()


@pytest.mark.parametrize(
    ("version", "mode"),
    [
        ((3, 40, 1), "TRUNCATE"),
        ((3, 44, 5), "TRUNCATE"),
        ((3, 44, 6), "WAL"),
        ((3, 45, 0), "TRUNCATE"),
        ((3, 50, 6), "TRUNCATE"),
        ((3, 50, 7), "WAL"),
        ((3, 51, 2), "TRUNCATE"),
        ((3, 51, 3), "WAL"),
        ((3, 53, 4), "WAL"),
        ((4, 0, 0), "WAL"),
    ],
)
def test_a_write_ahead_log_is_chosen_only_where_sqlite_has_no_reset_bug(
    version: tuple[int, int, int], mode: str
) -> None:
    assert sqlite.journal_mode(version) == mode


def test_the_journal_is_chosen_once_and_stays(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    migration.create(tmp_path / FILE, journal="WAL")
    with Registry(tmp_path) as registry:
        add_expert(registry)
        assert registry.verify() == []
    assert Database(tmp_path).read(pragma, "journal_mode") == "wal"


def test_home_and_database_are_private(home: Path) -> None:
    Registry(home).close()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (home, home / FILE)]
    assert modes == [0o700, 0o600]


def test_opening_again_loads_no_alembic(home: Path) -> None:
    Registry(home).close()
    code = (
        f"import sys; from registry import Registry; Registry({str(home)!r}).experts(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert not {"alembic", "mako", "torch", "gradio"} & set(done.stdout.split())


def test_a_package_named_migrations_elsewhere_is_not_ours(tmp_path: Path, home: Path) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "__init__.py").write_text("raise RuntimeError('not this one')")
    code = f"from registry import Registry; print(Registry({str(home)!r}).verify())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_a_newer_database_is_left_alone(home: Path) -> None:
    Registry(home).close()
    with plain(home) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    message = (
        f"{home / FILE} is newer than this program: it is at revision 9999, this program knows up to "
        f"{revisions.HEAD}. Upgrade expert-registry."
    )
    for refuse in (Registry, migrate):
        with pytest.raises(SchemaError) as caught:
            refuse(home)
        assert str(caught.value) == message


def test_an_older_database_names_the_command(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Registry(home).close()
    monkeypatch.setattr(revisions, "REVISIONS", (revisions.HEAD, "9999"))
    monkeypatch.setattr(revisions, "HEAD", "9999")
    with pytest.raises(SchemaError, match=r"is at revision 0006; .* Run `registry migrate`"):
        Registry(home)


def test_another_programs_database_is_not_touched(home: Path) -> None:
    home.mkdir()
    with plain(home) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    before = (home / FILE).read_bytes()
    for refuse in (Registry, migrate):
        with pytest.raises(SchemaError, match="is not a registry"):
            refuse(home)
    assert (home / FILE).read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be looked at" * 20, b"SQLite format 3\0xx"]
)
def test_a_file_that_is_no_database_is_damaged(home: Path, content: bytes) -> None:
    home.mkdir()
    (home / FILE).write_bytes(content)
    with pytest.raises(DamagedError, match="is damaged or not a database"):
        Registry(home)
    assert (home / FILE).read_bytes() == content


def test_a_home_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StorageError, match="Cannot make the folder") as caught:
            Registry(home)
        assert "\n" not in str(caught.value)


def test_a_database_that_stays_locked_is_one_line(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT", 0.05)
    with Registry(registry.home) as hasty, plain(registry.home) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        # Under a write-ahead log nobody can keep readers out.
        readers = [hasty.experts] if sqlite.journal_mode() == "TRUNCATE" else []
        for use in (lambda: add_dataset(hasty), *readers):
            with pytest.raises(StorageError, match=r"registry\.db stays locked by another process"):
                use()
        connection.execute("ROLLBACK")
        add_dataset(hasty)


def test_a_reader_cannot_write(registry: Registry) -> None:
    def write(connection: Connection) -> None:
        connection.execute(text("DELETE FROM aliases"))

    with pytest.raises(StorageError, match="it is read-only"):
        Database(registry.home).read(write)


KEYS = {
    "base_models": "fingerprint",
    "tasks": "name",
    "datasets": "task",
    "runs": "id",
    "experts": "task",
    "combinations": "task",
    "generations": "number",
    "slots": "generation",
    "evaluations": "id",
    "alias_events": "id",
    "retirements": "id",
}


def test_every_frozen_table_is_known_to_these_tests() -> None:
    assert {table.name for table in schema.FROZEN} == set(KEYS)
    assert {table.name for table in schema.MOVABLE} == {
        *("aliases", "features", "jobs"),
        *("users", "sessions", "tokens"),
    }


@pytest.mark.parametrize(("table", "key"), KEYS.items())
def test_a_frozen_row_cannot_be_changed_replaced_or_deleted(filled: Registry, table: str, key: str) -> None:
    """By any program: the database itself refuses."""
    message = f"{table} are frozen: rows are added, never changed"
    filled.retirements.retire("trec")
    add_expert(filled, "new", combined_from={"trec@1": 0.5})
    with plain(filled.home) as connection:
        before = connection.execute(f"SELECT * FROM {table}").fetchall()
        assert before
        for statement in (
            f"UPDATE {table} SET {key} = {key}",
            f"DELETE FROM {table}",
            f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
        ):
            with pytest.raises(driver.IntegrityError, match=message):
                connection.execute(statement)
        assert connection.execute(f"SELECT * FROM {table}").fetchall() == before


def test_a_second_unique_key_cannot_be_used_to_replace_a_row(filled: Registry) -> None:
    with plain(filled.home) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        for statement in (
            "INSERT OR REPLACE INTO datasets SELECT task, 99, sha256, labels, rows, columns, source, "
            "findings, created_at FROM datasets",
            "INSERT OR REPLACE INTO slots SELECT generation, slot + 50, task, version FROM slots",
        ):
            with pytest.raises(driver.IntegrityError, match="are frozen"):
                connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO datasets SELECT 'nobody', 1, sha256, labels, rows, columns, source, findings, "
        "created_at FROM datasets LIMIT 1",
        "INSERT INTO slots VALUES (1, 7, 'sst2', 99)",
        "INSERT INTO aliases VALUES ('router', 'x', NULL, NULL, 99, '')",
        "INSERT INTO aliases VALUES ('router', 'x', 'sst2', 1, NULL, '')",
        "INSERT INTO aliases VALUES ('trec', 'x', 'sst2', 1, NULL, '')",
        "INSERT INTO aliases VALUES ('sst2', 'x', NULL, NULL, NULL, '')",
        "INSERT INTO tasks VALUES ('router', 'classification', '')",
        "INSERT INTO tasks VALUES (NULL, 'classification', '')",
        "INSERT INTO evaluations SELECT 99, expert_task, expert_version, 1, task, dataset_version, split, "
        "metric, value, examples, details, created_at FROM evaluations LIMIT 1",
        "INSERT INTO generations SELECT 3, router, config, base_model, run, 3, sha256, root, parameters, "
        "created_at FROM generations LIMIT 1",
        "INSERT INTO runs SELECT 99, kind, settings, 'seven', versions, history, started_at, finished_at, "
        "seconds FROM runs LIMIT 1",
    ],
)
def test_a_row_that_makes_no_sense_is_refused_by_the_database(filled: Registry, statement: str) -> None:
    with plain(filled.home) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        with pytest.raises(driver.IntegrityError):
            connection.execute(statement)


def test_nothing_but_one_commit_makes_an_expert_visible(registry: Registry) -> None:
    """Its run, its row and its numbers come together: another process never sees some of them."""
    add_expert(registry)
    add_generation(registry, "sst2")
    with plain(registry.home) as connection:
        before = connection.execute("PRAGMA data_version").fetchone()
        counts = "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM experts)"
        assert connection.execute(counts).fetchone() == (2, 1)
        add_expert(registry, number=1)
        assert connection.execute("PRAGMA data_version").fetchone() != before
        assert connection.execute(counts).fetchone() == (3, 2)
