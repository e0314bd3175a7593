"""SQLite as a registry needs it: how to connect, to read, to write, and what its errors mean.

Every setting in here answers a way of losing data: SQLAlchemy's default transactions lose updates without an
error, a plain BEGIN fails at once under concurrent writers, write-ahead logging is unsafe in older SQLite.
"""

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DatabaseError, StatementError

from registry.errors import DamagedError, RegistryError, SchemaError, StorageError

try:  # The `sqlite` extra: a newer SQLite than the system's.
    from pysqlite3 import dbapi2 as driver
except ImportError:
    import sqlite3 as driver

__all__ = [
    "BUSY_TIMEOUT",
    "driver",
    "engine",
    "journal_mode",
    "read",
    "readable_errors",
    "transaction",
    "write",
]

P = ParamSpec("P")
T = TypeVar("T")

BUSY_TIMEOUT = 30.0
"""Seconds to wait for another writer. With 16 of them some wait 13 s, since SQLite's queue is not fair."""

_RETRIES = 3
_BUSY = {5, 6}  # SQLITE_BUSY, SQLITE_LOCKED
_DAMAGED = {11, 26}  # SQLITE_CORRUPT, SQLITE_NOTADB
# What SQLite says, without a code of its own, when the text that defines a table has changed on the disk.
_SCHEMA_LOST = re.compile("no such|mismatch|unknown function|decode to UTF-8")
_STORAGE = {
    3: "no permission",
    8: "it is read-only",
    10: "a disk error",
    13: "the disk is full",
    14: "no access",
}

# Threads of one process queue here, in order, rather than poll the file's lock against each other.
_writing = threading.Lock()


def journal_mode(version: tuple[int, int, int] = driver.sqlite_version_info) -> str:
    """The journal of a new database: write-ahead only where SQLite is free of the WAL-reset bug.

    Fixed in 3.51.3 and, in their own lines, in 3.50.7 and 3.44.6: https://www.sqlite.org/wal.html
    """
    fixed = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    return "WAL" if fixed else "TRUNCATE"


def engine(path: Path, *, foreign_keys: bool = True) -> Engine:
    """An engine for the existing database file `path`. It keeps no connection open, so none crosses a fork.

    Args:
        path: The database file.
        foreign_keys: Off only while migrating, where rebuilding a parent table would delete its child rows.
    """
    if driver.sqlite_version_info < (3, 37):
        raise SchemaError(
            f"SQLite {driver.sqlite_version} is older than 3.37. Install expert-registry[sqlite]."
        )
    made = create_engine(
        URL.create("sqlite", database=str(path)),
        module=driver,
        poolclass=NullPool,
        connect_args={"timeout": BUSY_TIMEOUT},
    )

    @event.listens_for(made, "connect")
    def connect(connection: Any, _record: object) -> None:
        # No implicit transactions: the pragmas below do nothing inside one, and ours begin in `begin`.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT * 1000)}")
        cursor.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA trusted_schema = OFF")
        # A write-ahead log is in the file for good; the kind of rollback journal is each connection's choice.
        if cursor.execute("PRAGMA journal_mode").fetchone()[0] == "delete":
            cursor.execute("PRAGMA journal_mode = TRUNCATE")
        cursor.close()

    @event.listens_for(made, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN IMMEDIATE"))

    return made


def read(
    engine: Engine, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Returns `work(connection, ...)`, which sees one state of the database and cannot change it."""

    def once() -> T:
        with engine.connect().execution_options(begin="BEGIN") as connection:
            driver_connection: Any = connection.connection.driver_connection
            driver_connection.execute("PRAGMA query_only = ON")
            with connection.begin():
                return work(connection, *args, **kwargs)

    return _patiently(engine, once)


def write(
    engine: Engine, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Returns `work(connection, ...)`, done whole or not at all, with no other writer in between."""

    def once() -> T:
        with engine.connect() as connection, connection.begin():
            return work(connection, *args, **kwargs)

    with _writing:
        return _patiently(engine, once)


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A connection whose work is committed when the block ends, or undone when it raises; no other writer is
    in between."""
    with _writing, readable_errors(Path(str(engine.url.database))), engine.connect() as connection:
        with _patiently(engine, connection.begin):
            yield connection


def _patiently(engine: Engine, once: Callable[[], T]) -> T:
    with readable_errors(Path(str(engine.url.database))):
        for attempt in range(_RETRIES):
            try:
                return once()
            except DatabaseError as error:
                if _code(error.orig) not in _BUSY:
                    raise
                time.sleep(random.uniform(0.05, 0.5) * (attempt + 1))
        return once()


@contextmanager
def readable_errors(path: Path) -> Iterator[None]:
    """Turns SQLite's errors about the file into the registry's own; others are bugs and pass."""
    try:
        yield
    except (StatementError, driver.DatabaseError) as error:
        origin = error.orig if isinstance(error, StatementError) else error
        readable = _readable(origin, path)
        if readable is None:
            raise
        raise readable from error
    except UnicodeDecodeError as error:  # From SQLite's own texts, so it is the file that is not what it was.
        raise _damaged(path, error) from error


def _readable(error: BaseException | None, path: Path) -> RegistryError | None:
    if isinstance(error, RegistryError):
        return error  # `registry.schema` refused a value on its way in, and SQLAlchemy wrapped that.
    code = _code(error)
    if code in _BUSY:
        return StorageError(f"{path} stays locked by another process. Try again when that has ended.")
    if code in _DAMAGED or _SCHEMA_LOST.search(str(error)):
        return _damaged(path, error)
    if code in _STORAGE:
        return StorageError(
            f"Cannot use {path}: {_STORAGE[code]} ({error}). Check free space, permissions and REGISTRY_HOME."
        )
    return None


def _damaged(path: Path, error: BaseException | None) -> DamagedError:
    return DamagedError(f"{path} is damaged or not a database ({error}). Put back a backup.")


def _code(error: BaseException | None) -> int:
    # Extended codes carry the primary code in the low byte.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
