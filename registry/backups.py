"""A whole registry in one file, taken while others write; and a home made from such a file, or not at all."""

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection, text

from registry import archives, leftovers, revisions, sqlite
from registry.archives import Manifest
from registry.blobs import Blobs
from registry.database import FILE
from registry.disk import claimed, private_folder, storage_errors, sync
from registry.errors import ConflictError, DamagedError, NotFoundError, SchemaError, StorageError
from registry.filesystem import refuse_network
from registry.references import referenced
from registry.store import Registry

Progress = Callable[[int, int], None]
"""Called with how many blobs are done, of how many."""

_ATTEMPTS = 10
"""How often to begin a backup anew because a job ended and the collector took what only that job needed."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made."""

    file: Path
    bytes: int
    blobs: int
    revision: str


@dataclass(frozen=True, slots=True)
class Restored:
    """A home that was made from a backup."""

    home: Path
    blobs: int
    created_at: datetime
    """When the backup was taken."""
    revision: str
    outdated: bool
    """Whether `registry migrate` must run before the home can be opened."""


class _Vanished(Exception):
    """A blob that only a job needed which has ended since."""


def back_up(registry: Registry, file: str | Path, *, on_progress: Progress | None = None) -> Backup:
    """Writes the database as it is now, and every blob that it refers to, into one new file.

    Others may write meanwhile: what they commit after the first moment is not in the file. The cache of
    hidden states is left out. The file appears whole or not at all, for its owner alone.

    Raises:
        ConflictError: The file exists, or somebody is writing it.
        DamagedError: The database, or a blob, is damaged or missing.
        StorageError: The disk is full, or the folder cannot be written.
    """
    target = Path(file).expanduser().absolute()
    _refuse_existing(target)
    leftovers.remove_backups(target.parent)
    partial = leftovers.partial_backup(target)
    with storage_errors("write", target), claimed(partial) as descriptor:
        try:
            copied = leftovers.copied_database(partial)
            manifest = _write_complete(registry, descriptor, copied, on_progress or _silent)
            os.fsync(descriptor)
            _refuse_existing(target)
            partial.rename(target)
        except BaseException:
            leftovers.remove_copy(partial)
            partial.unlink(missing_ok=True)
            raise
        sync(target.parent)
    return Backup(target, target.stat().st_size, len(manifest.blobs), manifest.revision)


def restore(file: str | Path, home: str | Path, *, on_progress: Progress | None = None) -> Restored:
    """Makes a home from a backup: everything is checked in a folder beside it, which then takes its name.

    Jobs that were running when the backup was taken need recovery in the new home: their workers are not its.

    Raises:
        NotFoundError: There is no such file.
        ConflictError: The home is not empty, or somebody is restoring into it.
        DamagedError: The file is not a whole backup, or anything in it is not what was stored.
        SchemaError: The backup was taken by a newer version of this program.
        StorageError: The disk is too small, or the folder cannot be written.
    """
    source = Path(file).expanduser().absolute()
    target = Path(home).expanduser().resolve()
    if not source.is_file():
        raise NotFoundError(f"There is no backup {source}. Give the file that `registry backup` wrote.")
    _refuse_full(target)
    refuse_network(target)
    made = leftovers.partial_home(target)
    leftovers.remove_homes(private_folder(target.parent))
    with storage_errors("restore into", target), source.open("rb") as opened:
        manifest = archives.read_manifest(opened, source)
        if manifest.revision not in revisions.REVISIONS:
            raise revisions.newer(source, manifest.revision)
        _refuse_small_disk(manifest, target)
        with claimed(made, folder=True):
            try:
                _unpack(opened, source, manifest, made, on_progress or _silent)
                _check(made / FILE, source, manifest)
                _refuse_full(target)
                made.rename(target)
            except BaseException:
                shutil.rmtree(made, ignore_errors=True)
                raise
        sync(target.parent)
    outdated = manifest.revision != revisions.HEAD
    return Restored(target, len(manifest.blobs), manifest.created_at, manifest.revision, outdated)


# Taking


def _write_complete(registry: Registry, descriptor: int, snapshot: Path, on_progress: Progress) -> Manifest:
    for _ in range(_ATTEMPTS):
        os.ftruncate(descriptor, 0)
        with os.fdopen(os.dup(descriptor), "wb") as output:
            output.seek(0)
            try:
                return _write(registry, output, snapshot, on_progress)
            except _Vanished:
                continue
    raise StorageError(f"Blobs went away {_ATTEMPTS} times while they were copied. Try again later.")


def _write(registry: Registry, output: BinaryIO, snapshot: Path, on_progress: Progress) -> Manifest:
    manifest = _described(registry, snapshot)
    archives.write_manifest(output, manifest)
    archives.write_header(output, archives.DATABASE, manifest.database.bytes, manifest.created_at)
    with snapshot.open("rb") as copied:
        shutil.copyfileobj(copied, output)
    snapshot.unlink()
    archives.write_padding(output, manifest.database.bytes)
    for done, member in enumerate(manifest.blobs, 1):
        try:
            content = registry.blobs.get(member.sha256)
        except DamagedError:
            _raise_vanished(registry, member.sha256)
            raise
        archives.write_header(output, member.name, member.bytes, manifest.created_at)
        archives.write_content(output, content)
        on_progress(done, len(manifest.blobs))
    archives.write_end(output)
    return manifest


def _described(registry: Registry, snapshot: Path) -> Manifest:
    """Takes the snapshot of the database, and says what a backup of it holds."""
    created_at = datetime.now(UTC)
    _copy_database(registry.home / FILE, snapshot)
    engine = sqlite.engine(snapshot)
    revision, digests = sqlite.read(engine, _known, created_at)
    engine.dispose()
    members = []
    for sha256 in sorted(digests):
        try:
            members.append(archives.blob(sha256, registry.blobs.path(sha256).stat().st_size))
        except FileNotFoundError:
            _raise_vanished(registry, sha256)
            raise DamagedError(
                f"The blob {sha256} is missing, so a backup would not be whole. `registry fsck` tells whose "
                "it is."
            ) from None
    return Manifest(
        created_at=created_at,
        revision=revision,
        database=archives.database(_digest(snapshot), snapshot.stat().st_size),
        blobs=tuple(members),
    )


def _known(connection: Connection, at: datetime) -> tuple[str, set[str]]:
    return str(revisions.current(connection)), referenced(connection, at=at)


def _raise_vanished(registry: Registry, sha256: str) -> None:
    """Tells a blob that may be gone, since its last reference went with a job, from one that is lost."""
    if not registry._database.read(referenced, [sha256]):
        raise _Vanished


def _copy_database(source: Path, copy: Path) -> None:
    """Copies one committed state of the database, without the cache, whatever others write meanwhile."""
    copy.unlink(missing_ok=True)
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with (
        sqlite.readable_errors(copy),
        closing(sqlite.driver.connect(source, timeout=sqlite.BUSY_TIMEOUT)) as opened,
        closing(sqlite.driver.connect(copy, isolation_level=None)) as made,
    ):
        opened.backup(made)
        # One file on its own: no write-ahead log beside it.
        made.execute("PRAGMA journal_mode = MEMORY")
        verdict = made.execute("PRAGMA quick_check").fetchone()[0]
        if verdict != "ok":
            raise DamagedError(f"{source} is damaged ({verdict}). Put back an earlier backup.")
        made.execute("DELETE FROM features")
        made.execute("VACUUM")


# Restoring


def _unpack(opened: BinaryIO, source: Path, manifest: Manifest, made: Path, on_progress: Progress) -> None:
    archives.read_member(opened, manifest.database, source, made / FILE)
    blobs = Blobs(made / "blobs")
    for done, member in enumerate(manifest.blobs, 1):
        path = blobs.path(member.sha256)
        private_folder(path.parent)
        archives.read_member(opened, member, source, path)
        path.chmod(0o444)
        on_progress(done, len(manifest.blobs))
    for folder in {blobs.path(member.sha256).parent for member in manifest.blobs}:
        sync(folder)


def _check(database: Path, source: Path, manifest: Manifest) -> None:
    """Refuses a database that is not what the manifest says, and makes it this machine's own."""
    with (
        sqlite.readable_errors(source),
        closing(sqlite.driver.connect(database, isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA trusted_schema = OFF")
        verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if verdict != "ok":
            raise DamagedError(f"The database in {source} is damaged ({verdict}). Take another backup file.")
    engine = sqlite.engine(database)
    sqlite.write(engine, _adopt, source, manifest)
    engine.dispose()
    if sqlite.journal_mode() == "WAL":
        with closing(sqlite.driver.connect(database, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
    sync(database.parent)


def _adopt(connection: Connection, source: Path, manifest: Manifest) -> None:
    if revisions.current(connection) != manifest.revision:
        raise SchemaError(f"The database in {source} is not at the revision that its manifest says.")
    if manifest.revision != revisions.HEAD:
        return  # Of tables that this program may not know; `registry migrate` and `registry fsck` do.
    # What was needed when the backup was taken, whatever this machine's clock says.
    missing = referenced(connection, at=manifest.created_at) - {member.sha256 for member in manifest.blobs}
    if missing:
        raise DamagedError(f"{source} lacks {len(missing)} blobs, such as {min(missing)}.")
    recover = "UPDATE jobs SET state = 'needs_recovery', owner = NULL, lease_until = NULL"
    connection.execute(text(f"{recover} WHERE state = 'running'"))


# Both


def _refuse_existing(target: Path) -> None:
    if target.is_dir():
        raise ConflictError(
            f"{target} is a folder. Name a new file in it, such as {target / 'registry.tar'}."
        )
    if os.path.lexists(target):
        raise ConflictError(f"{target} exists already. Name a new file, or remove this one.")


def _refuse_full(target: Path) -> None:
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise ConflictError(f"{target} is not empty. Restore into a new folder, with --home.")


def _refuse_small_disk(manifest: Manifest, target: Path) -> None:
    free = shutil.disk_usage(target.parent).free
    if manifest.size > free:
        raise StorageError(
            f"The backup needs {manifest.size:,} bytes in {target.parent}, where {free:,} are free."
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _silent(_done: int, _total: int) -> None:
    """Tells nobody."""
