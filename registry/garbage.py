"""The collector: removes what crashes and replaced caches leave behind, while others go on publishing.

A blob is unlinked inside a write transaction in which nothing refers to it. Whoever is about to refer to it
does so in a write transaction of their own, and looks first whether the blob is there (`Blobs.ensure`).
SQLite has one writer at a time, so of the two one comes first: the blob is kept, or it is stored again.
"""

import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection

from registry import owners
from registry.disk import storage_errors
from registry.errors import InvalidSettingError
from registry.faults import fault
from registry.references import GIVEN_UP, referenced
from registry.store import Registry

GRACE = timedelta(hours=24)
"""Blobs younger than this stay by default. It saves work: what is referred to is safe without it."""

TEMPORARY_GRACE = timedelta(hours=1)
"""Temporary files younger than this always stay, since somebody may be writing them."""

_BATCH = 32
"""Blobs per transaction: other writers wait for a tenth of a second or so, never for the whole collection."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What was removed, or would be."""

    blobs: int = 0
    """Blobs that nothing refers to."""
    temporaries: int = 0
    """Files that a crash left half-written."""
    checkpoints: int = 0
    """Checkpoints of trainings that were given up."""
    states: int = 0
    """Hidden states of datasets that nobody trained on for long."""
    logs: int = 0
    """What attempts at jobs of old have printed."""
    bytes: int = 0
    """The room all these took."""

    def plus(self, kind: str, size: int) -> "Collected":
        """One more of `kind`, a field's name, of so many bytes."""
        return replace(self, **{kind: getattr(self, kind) + 1}, bytes=self.bytes + size)


def collect(registry: Registry, *, grace: timedelta = GRACE, dry_run: bool = False) -> Collected:
    """Removes blobs that nothing refers to, temporary files, and checkpoints, cached states and logs that
    were given up, and says how many.

    Others may publish meanwhile, whatever `grace` is. It can be killed at any moment, and run by several at
    once.

    Args:
        registry: The registry to tidy.
        grace: Blobs younger than this stay.
        dry_run: Only count.

    Raises:
        InvalidSettingError: `grace` is negative.
        StorageError: A file cannot be removed.
    """
    if grace < timedelta(0):
        raise InvalidSettingError(f"A grace of {grace} is negative. Allowed: 0 or more, by default 24 hours.")
    now = time.time()
    found = Collected()
    for size in _blobs(registry, now - grace.total_seconds(), dry_run):
        found = found.plus("blobs", size)
    for kind, paths, age in (
        ("temporaries", temporaries(registry.home), max(grace, TEMPORARY_GRACE)),
        ("checkpoints", (registry.home / "cache" / "checkpoints").glob("*.safetensors"), GIVEN_UP),
        ("states", (registry.home / "cache" / "states").glob("*.states"), GIVEN_UP),
        ("logs", _logs(registry.home), GIVEN_UP),
    ):
        for path in paths:
            old = _size(path, now - age.total_seconds())
            if old is not None:
                if not dry_run:
                    _unlink(path)
                found = found.plus(kind, old)
    return found


def temporaries(home: Path) -> Iterator[Path]:
    """The files that are half-written, or were when a crash came, and those of workers that were killed."""
    yield from (home / "blobs" / "sha256").glob("??/.*.tmp")
    yield from (home / "cache").glob("**/*.partial")
    yield from home.glob("*.backup.tmp")
    yield from (path for path in (home / owners.FOLDER).glob("*") if owners.gone(home, path.name))


def _logs(home: Path) -> Iterator[Path]:
    """What attempts at jobs have printed, and nothing else that somebody keeps there."""
    yield from (path for path in (home / "logs").glob("job-*.log") if path.stem[4:].isdecimal())


def _blobs(registry: Registry, before: float, dry_run: bool) -> Iterator[int]:
    """Removes the blobs that nothing refers to, and tells their sizes."""
    old = [path for path in registry.blobs.paths() if _size(path, before) is not None]
    kept = registry._database.read(referenced)
    unused = [path for path in old if path.name not in kept]
    for first in range(0, len(unused), _BATCH):
        batch = unused[first : first + _BATCH]
        if dry_run:
            sizes = [_size(path, before) for path in batch]
        else:
            started = time.monotonic()
            sizes = registry._database.write(_remove, batch, before)
            fault("gc.committed")
            # SQLite's lock goes to whoever asks first when it is free: leave it free as long as it was held.
            time.sleep(time.monotonic() - started)
        yield from (size for size in sizes if size is not None)


def _remove(connection: Connection, batch: Sequence[Path], before: float) -> list[int | None]:
    """Unlinks those that nothing refers to and that are still old. The caller holds the write lock."""
    fault("gc.begun")
    kept = referenced(connection, [path.name for path in batch])
    removed = []
    for path in batch:
        if path.name not in kept:
            # Asked again: it may have been removed and published anew since it was listed.
            size = _size(path, before)
            if size is not None:
                _unlink(path)
            removed.append(size)
            fault("gc.unlinked")
    return removed


def _size(path: Path, before: float) -> int | None:
    """The size of a regular file last written before that time; `None` of anything else, or of nothing."""
    try:
        about = path.lstat()
    except FileNotFoundError:
        return None
    return about.st_size if stat.S_ISREG(about.st_mode) and about.st_mtime <= before else None


def _unlink(path: Path) -> None:
    with storage_errors("remove", path):
        path.unlink(missing_ok=True)
