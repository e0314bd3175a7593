"""The examination of a whole home: rows without files, files without rows, and all that `verify` checks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, select

from registry import schema, verify
from registry.errors import DamagedError
from registry.garbage import temporaries
from registry.records import Problem
from registry.references import needs_inputs, referenced
from registry.store import Registry
from registry.verify import Stored

Progress = Callable[[int, int], None]
"""Called with how many blobs were looked at, of how many."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found."""

    problems: tuple[Problem, ...] = ()
    """What should not be: something is lost or changed."""
    notes: tuple[Problem, ...] = ()
    """What is harmless: leftovers that the collector removes, caches that are computed again."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """What the rows say, all at one moment."""

    blobs: list[Stored]
    cached: list[Stored]
    referenced: set[str]
    problems: list[Problem]


def examine(registry: Registry, *, deep: bool = False, on_progress: Progress | None = None) -> Report:
    """Looks at the database and at every file, while others may go on working.

    Args:
        registry: The registry to look at; nothing in it is changed.
        deep: Also read every blob, and check its digest and its tensors.
        on_progress: Told of every blob that was looked at.
    """
    # Before the rows, so that what is published meanwhile is not taken for a leftover.
    files = [path.name for path in registry.blobs.paths()]
    half_written = sum(1 for _ in temporaries(registry.home))
    try:
        rows = registry._database.read(_rows)
        look = verify.damaged if deep else verify.absent
        wrong = list(look(registry.blobs, _told([*rows.blobs, *rows.cached], on_progress)))
        # Asked again: a job may have ended since, and the collector taken its rows.
        still = registry._database.read(referenced, [blob.sha256 for blob, _ in wrong])
    except DamagedError as error:
        return Report((Problem(subject="database", what=str(error)),))
    cached = {blob.subject for blob in rows.cached}
    wrong = [(blob, problem) for blob, problem in wrong if blob.sha256 in still]
    notes = [_forgiven(problem) for blob, problem in wrong if blob.subject in cached]
    notes += _leftovers("blobs", len(set(files) - rows.referenced), "that nothing refers to")
    notes += _leftovers("temporary files", half_written, "that a crash left, or that are being written")
    lost = [problem for blob, problem in wrong if blob.subject not in cached]
    return Report((*rows.problems, *lost), tuple(notes))


def _rows(connection: Connection) -> _Rows:
    now = datetime.now(UTC)
    blobs, problems = verify.stored(connection, None)
    jobs, features = schema.jobs, schema.features
    blobs += [
        Stored(f"job {row.id}", sha256, tensors=False)
        for row in connection.execute(select(jobs.c.id, jobs.c.inputs).where(needs_inputs(now)))
        for sha256 in row.inputs
    ]
    cached = [
        Stored(f"cache {row.key}", row.sha256, tensors=False, bytes=row.bytes)
        for row in connection.execute(select(features.c.key, features.c.sha256, features.c.bytes))
    ]
    return _Rows(blobs, cached, referenced(connection, at=now), problems)


def _told(listed: Sequence[Stored], on_progress: Progress | None) -> Iterator[Stored]:
    for done, blob in enumerate(listed, 1):
        yield blob
        if on_progress is not None:
            on_progress(done, len(listed))


def _forgiven(problem: Problem) -> Problem:
    return Problem(subject=problem.subject, what=f"{problem.what} It is computed again when it is needed.")


def _leftovers(what: str, count: int, which: str) -> list[Problem]:
    return [Problem(subject=what, what=f"{count:,} {which}; `registry gc` removes them")] if count else []
