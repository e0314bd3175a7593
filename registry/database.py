"""The registry's database file: opening it, making it, migrating it, and work inside its transactions."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from registry import revisions, sqlite
from registry.disk import private_folder, storage_errors
from registry.errors import SchemaError
from registry.filesystem import refuse_network

P = ParamSpec("P")
T = TypeVar("T")

FILE = "registry.db"

# Closing any handle of a file drops every lock that this process holds on it, so no thread may be inside the
# database while another makes its file.
_opening = threading.Lock()


class _Joined(threading.local):
    """The connection of the transaction that a thread is in, if it is in one."""

    connection: Connection | None = None


class Database:
    """The database in a home folder, at the newest revision.

    A home without one gets one, whole or not at all, however many processes start at once.

    Raises:
        SchemaError: It is older or newer than this program, or something else than a registry.
        StorageError: The folder cannot be made, read or written, or is on a network file system.
        DamagedError: It is not a SQLite database.
    """

    def __init__(self, home: Path) -> None:
        self.path = _file(home)
        self._engine = sqlite.engine(self.path)
        self._joined = _Joined()
        revision = self.read(revisions.current)
        if revision is None:
            # Alembic is slow to import and only needed here.
            from registry import migration

            migration.create(self.path)
        elif revision not in revisions.REVISIONS:
            raise revisions.newer(self.path, revision)
        elif revision != revisions.HEAD:
            raise SchemaError(
                f"{self.path} is at revision {revision}; this program needs {revisions.HEAD}. "
                "Run `registry migrate`, which makes a backup first."
            )

    def read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Returns `work(connection, ...)`, which sees one state of the database and cannot change it."""
        if self._joined.connection is not None:
            return work(self._joined.connection, *args, **kwargs)
        return sqlite.read(self._engine, work, *args, **kwargs)

    def write(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Returns `work(connection, ...)`, done whole or not at all, with no other writer in between."""
        if self._joined.connection is not None:
            return work(self._joined.connection, *args, **kwargs)
        return sqlite.write(self._engine, work, *args, **kwargs)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that this thread reads and writes inside the block is one transaction; an error undoes it."""
        if self._joined.connection is not None:
            yield
            return
        with sqlite.transaction(self._engine) as connection:
            self._joined.connection = connection
            try:
                yield
            finally:
                self._joined.connection = None

    def close(self) -> None:
        """Lets go of the file."""
        self._engine.dispose()


def migrate(home: str | Path) -> Path | None:
    """Brings the database in `home` to the newest revision, in one transaction.

    Returns the backup that was made before, or `None` when there was nothing to migrate.

    Raises:
        SchemaError: The database is newer than this program, or not a registry.
        StorageError: The disk is full or read-only, or the database stays locked.
        DamagedError: The database is damaged.
    """
    from registry import migration

    return migration.upgrade(_file(Path(home).expanduser()))


def _file(home: Path) -> Path:
    refuse_network(home / FILE)
    path = private_folder(home) / FILE
    with _opening, storage_errors("open", path):
        if not path.exists():
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            except FileExistsError:
                pass  # Another process has just made it.
    return path
