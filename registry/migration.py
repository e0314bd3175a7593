"""Makes and upgrades a database with Alembic: all revisions in one transaction, or none.

Only this module and the revisions import Alembic; an up-to-date database is opened without it.
"""

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event

from registry import revisions, sqlite
from registry.disk import storage_errors, sync
from registry.errors import DamagedError, SchemaError
from registry.faults import fault

SCRIPTS = Path(__file__).resolve().parent.parent / "migrations"
"""By path and not by import: any folder may hold another package named `migrations`."""

BACKUPS = 3
"""How many backups to keep."""

# Alembic's context belongs to the whole process.
_alembic = threading.Lock()


def config(versions: Sequence[Path] = ()) -> Config:
    """Alembic's configuration for our scripts, with further folders of revisions if any are given."""
    made = Config()
    folders = [SCRIPTS / "versions", *versions]
    # Alembic expands % in its options.
    made.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.set_main_option("version_locations", os.pathsep.join(map(str, folders)).replace("%", "%%"))
    return made


def create(path: Path, journal: str | None = None) -> None:
    """Makes the tables in the empty database `path`; does nothing when another process has just made them.

    Args:
        path: An empty file.
        journal: The journal mode, by default what is safe with this SQLite. It is chosen once, here.
    """
    if (journal or sqlite.journal_mode()) == "WAL":
        _choose_write_ahead(path)
    upgrade(path)


def upgrade(path: Path, versions: Sequence[Path] = ()) -> Path | None:
    """Brings the database to the newest revision and returns the backup made before, if one was needed.

    Raises:
        SchemaError: The database is newer than this program, or the revisions would break a reference.
        DamagedError: The backup does not pass SQLite's check.
        StorageError: The disk is full or read-only, or the database stays locked.
    """
    # Off while migrating: rebuilding a parent table with foreign keys on deletes every row that refers to it.
    engine = sqlite.engine(path, foreign_keys=False)
    statements = 0

    @event.listens_for(engine, "after_cursor_execute")
    def after_statement(*_: Any) -> None:
        nonlocal statements
        statements += 1
        fault(f"migrate.statement.{statements}")

    with _alembic:
        backup = sqlite.write(engine, _upgrade, path, config(versions))
    fault("migrate.committed")
    return backup


def _upgrade(connection: Connection, path: Path, scripts: Config) -> Path | None:
    script = ScriptDirectory.from_config(scripts)
    head = script.get_current_head()
    # Asked again here, where no other process can be migrating.
    revision = revisions.current(connection)
    if revision == head:
        return None
    if revision is not None and revision not in {known.revision for known in script.walk_revisions()}:
        raise revisions.newer(path, revision)
    backup = None if revision is None else _back_up(path, str(head))
    fault("migrate.backed_up")
    scripts.attributes["connection"] = connection
    command.upgrade(scripts, "head")
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        raise SchemaError(f"Migrating {path} would break {len(broken)} references; nothing was changed.")
    fault("migrate.checked")
    return backup


def _back_up(path: Path, head: str) -> Path:
    """Copies the database as it was committed last. The caller holds the write lock, so it cannot change."""
    backup = path.with_name(f"{path.name}.pre-{head}")
    temporary = path.with_name(f"{path.name}.backup.tmp")
    with storage_errors("write", backup):
        # A migration that was killed may have left one.
        temporary.unlink(missing_ok=True)
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            verdict = _copy(path, temporary)
            if verdict != "ok":
                raise DamagedError(f"{path} is damaged ({verdict}). Put back a backup before migrating.")
            temporary.replace(backup)
        finally:
            temporary.unlink(missing_ok=True)
        sync(backup.parent)
        kept = sorted(path.parent.glob(f"{path.name}.pre-*"), key=lambda file: file.stat().st_mtime_ns)
        for old in kept[:-BACKUPS]:
            old.unlink()
    return backup


def _copy(path: Path, target: Path) -> str:
    """Copies a database through SQLite and returns what SQLite says of the copy: `ok`, or what is wrong."""
    source, copy = sqlite.driver.connect(path), sqlite.driver.connect(target)
    try:
        source.backup(copy)
        fault("migrate.copied")
        return str(copy.execute("PRAGMA quick_check").fetchone()[0])
    finally:
        copy.close()
        source.close()


def _choose_write_ahead(path: Path) -> None:
    deadline = time.monotonic() + sqlite.BUSY_TIMEOUT
    with sqlite.readable_errors(path):
        connection = sqlite.driver.connect(path, isolation_level=None, timeout=sqlite.BUSY_TIMEOUT)
        try:
            while True:
                # SQLite does not wait here: of two processes that switch at once, each refuses the other.
                try:
                    connection.execute("PRAGMA journal_mode = WAL")
                    return
                except sqlite.driver.OperationalError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)
        finally:
            connection.close()
