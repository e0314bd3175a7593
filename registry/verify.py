"""Checks that what is stored is what was stored: digests, tensors, manifests, references, gaps."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from registry import aliases, experts, generations, schema, subjects, tasks
from registry.blobs import Blobs
from registry.database import Database
from registry.errors import DamagedError
from registry.names import ROUTER
from registry.records import Expert, Generation, Problem


@dataclass(frozen=True, slots=True)
class Stored:
    """A blob that a row refers to."""

    subject: str
    sha256: str
    tensors: bool
    bytes: int | None = None


def problems(database: Database, blobs: Blobs, ref: str | None) -> list[Problem]:
    """What is wrong with what `ref` names, by default with everything."""
    try:
        listed, found = database.read(stored, ref)
    except DamagedError as error:
        return [Problem(subject="database", what=str(error))]
    return found + [problem for _, problem in damaged(blobs, listed)]


def stored(connection: Connection, ref: str | None) -> tuple[list[Stored], list[Problem]]:
    """The blobs behind what `ref` names, by default everything, and what is wrong with the rows."""
    return _everything(connection) if ref is None else _one(connection, ref)


def _one(connection: Connection, ref: str) -> tuple[list[Stored], list[Problem]]:
    """The blobs behind one expert or generation, and what is wrong with its rows."""
    subject = subjects.get(connection, ref)
    if isinstance(subject, Expert):
        return _expert_blobs(connection, [subject]), []
    members = experts.each(connection, subject.experts)
    blobs = [_router_blob(subject), *_expert_blobs(connection, members)]
    return blobs, list(_manifest(connection, subject, members))


def _everything(connection: Connection) -> tuple[list[Stored], list[Problem]]:
    """The blobs behind all experts, generations and datasets, and what is wrong with the database."""
    problems = [
        Problem(subject="database", what=str(line))
        for line in connection.scalars(text("PRAGMA integrity_check"))
        if line != "ok"
    ]
    problems += [
        Problem(subject="database", what=f"a row of {table} refers to a missing row of {parent}")
        for table, _, parent, _ in connection.execute(text("PRAGMA foreign_key_check"))
    ]
    triggers = set(connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")))
    problems += [
        Problem(subject="database", what=f"{table.name} can be changed: the trigger {name} is missing")
        for table in schema.FROZEN
        for name in (f"{table.name}_frozen_{event}" for event in ("update", "delete", "replace"))
        if name not in triggers
    ]
    problems += _gaps(connection)
    problems += _aliases(connection)
    blobs = [
        Stored(f"{row.task}/data@{row.version}", row.sha256, tensors=False)
        for row in connection.execute(select(schema.datasets))
    ]
    known = {expert.name: expert for expert in experts.every(connection, all_versions=True)}
    blobs += [_expert_blob(expert) for expert in known.values()]
    for generation in generations.every(connection):
        blobs.append(_router_blob(generation))
        members = [known[name] for name in generation.experts if name in known]
        problems += _manifest(connection, generation, members)
    return blobs, problems


def absent(blobs: Blobs, listed: Iterable[Stored]) -> Iterator[tuple[Stored, Problem]]:
    """Looks at the file of every blob, and tells which are missing or of another size. Nothing is read."""
    for blob in listed:
        try:
            size = blobs.path(blob.sha256).stat().st_size
        except FileNotFoundError:
            yield blob, Problem(subject=blob.subject, what=f"The blob {blob.sha256} is missing.")
        else:
            if blob.bytes not in (None, size):
                yield blob, Problem(subject=blob.subject, what=_size(size, blob))


def damaged(blobs: Blobs, listed: Iterable[Stored]) -> Iterator[tuple[Stored, Problem]]:
    """Reads every blob once and tells which cannot be used. No transaction is open, so no writer waits."""
    read: dict[tuple[object, ...], str | None] = {}
    for blob in listed:
        # Two rows may refer to one blob and say different things of it.
        expected = (blob.sha256, blob.tensors, blob.bytes)
        if expected not in read:
            read[expected] = _damage(blobs, blob)
        damage = read[expected]
        if damage is not None:
            yield blob, Problem(subject=blob.subject, what=damage)


def _damage(blobs: Blobs, blob: Stored) -> str | None:
    from registry.tensors import finite, unpack  # Numpy, which listings need not wait for.

    try:
        content = blobs.get(blob.sha256)
        if blob.tensors:
            finite(unpack(content)[0], blob.subject)
    except DamagedError as error:
        return str(error)
    return None if blob.bytes in (None, len(content)) else _size(len(content), blob)


def _size(size: int, blob: Stored) -> str:
    return f"its blob has {size} bytes, its row says {blob.bytes}"


def _expert_blobs(connection: Connection, members: Iterable[Expert]) -> list[Stored]:
    given = list(members)
    digests = tasks.digests(connection, [(expert.task, expert.dataset) for expert in given])
    found = []
    for expert in given:
        sha256 = digests.get((expert.task, expert.dataset))
        found += [_expert_blob(expert), Stored(f"{expert.task}/data@{expert.dataset}", str(sha256), False)]
    return found


def _expert_blob(expert: Expert) -> Stored:
    return Stored(expert.name, expert.sha256, tensors=True, bytes=expert.bytes)


def _router_blob(generation: Generation) -> Stored:
    return Stored(generation.name, generation.sha256, tensors=True)


def _manifest(connection: Connection, generation: Generation, members: list[Expert]) -> Iterator[Problem]:
    root = generations.root(connection, generation, members)
    if root != generation.root:
        yield Problem(
            subject=generation.name, what=f"its manifest has the root {root}, not {generation.root}"
        )


def _gaps(connection: Connection) -> Iterator[Problem]:
    for table, suffix in ((schema.datasets, "/data"), (schema.experts, "")):
        counted = select(table.c.task, func.count(), func.max(table.c.version)).group_by(table.c.task)
        for task, count, newest in connection.execute(counted):
            if count != newest:
                yield Problem(subject=f"{task}{suffix}", what=f"has {count} versions, the newest is {newest}")
    table = schema.generations
    count, newest = connection.execute(
        select(func.count(), func.max(table.c.number)).select_from(table)
    ).one()
    if count != (newest or 0):
        yield Problem(subject=ROUTER, what=f"has {count} generations, the newest is {newest}")
    slots = schema.slots
    counted = select(slots.c.generation, func.count(), func.max(slots.c.slot)).group_by(slots.c.generation)
    for number, count, last in connection.execute(counted):
        if last is None or count != last + 1:
            yield Problem(subject=f"{ROUTER}@{number}", what=f"has {count} experts, the last slot is {last}")


def _aliases(connection: Connection) -> Iterator[Problem]:
    for alias in aliases.every(connection):
        events = aliases.history(connection, alias.subject, alias.name, limit=1)
        said = events[0].target if events else None
        if said != alias.target:
            yield Problem(subject=alias.ref, what=f"stands for {alias.target}, its history says {said}")
