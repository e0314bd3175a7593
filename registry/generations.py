"""Router generations: finding them, adding the next one, and the manifest that each is pinned by."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, Text, cast, func, insert, select

from registry import aliases, base_models, evaluations, experts, runs, schema, tasks
from registry.blobs import Blobs
from registry.canonical import canonical_json, sha256_of
from registry.errors import ConflictError, InvalidSettingError, NotFoundError
from registry.experts import Pinned
from registry.faults import fault
from registry.inserting import insert_rows
from registry.names import ROUTER, Reference, parse
from registry.records import EvaluationFacts, Expert, Generation, NewGeneration, RunFacts

PRODUCTION = "production"
"""The alias that predictions use when no generation is named."""

_table = schema.generations
_slots = schema.slots


def every(connection: Connection, *, limit: int | None = None, after: str | None = None) -> list[Generation]:
    """All generations, oldest first; or `limit` of them, those `after` one that is named."""
    wanted = select(_table).order_by(_table.c.number).limit(limit)
    if after is not None:
        wanted = wanted.where(_table.c.number > resolve(connection, parse(after)).number)
    rows = connection.execute(wanted).all()
    chosen: dict[int, list[str]] = {row.number: [] for row in rows}
    if rows:
        slots = _members().where(_slots.c.generation.between(rows[0].number, rows[-1].number))
        for number, name in connection.execute(slots):
            chosen[number].append(name)
    return [_record(row, chosen[row.number]) for row in rows]


def get(connection: Connection, ref: int | str | None = None) -> Generation:
    """The generation that `3`, `router@3`, `router@production` or `router` (the newest) names.

    Without a name: the one in production if there is one, else the newest.
    """
    if ref is None:
        current = aliases.find(connection, ROUTER, PRODUCTION)
        reference = parse(current.target if current else ROUTER)
    elif isinstance(ref, int):
        reference = Reference(ROUTER, ref)
    else:
        reference = parse(ref)
    return resolve(connection, reference)


def resolve(connection: Connection, reference: Reference) -> Generation:
    """The generation of a parsed name: by number, by alias, or the newest."""
    if reference.subject != ROUTER:
        raise NotFoundError(f"'{reference}' is not a generation of the router; name one, such as router@3.")
    number = reference.version
    if number is None and reference.alias is not None:
        number = aliases.number(aliases.get(connection, ROUTER, reference.alias))
    wanted = select(_table).order_by(_table.c.number.desc()).limit(1)
    if number is not None:
        wanted = wanted.where(_table.c.number == number)
    row = connection.execute(wanted).one_or_none()
    if row is None:
        newest = _newest(connection)
        if not newest:
            raise NotFoundError("There is no router yet. Run `registry retrain-router`.")
        raise NotFoundError(
            f"There is no generation '{reference}': the router has generations 1 to {newest}."
        )
    slots = _members().where(_slots.c.generation == row.number)
    return _record(row, [name for _, name in connection.execute(slots)])


def add(
    connection: Connection,
    facts: NewGeneration,
    blobs: Blobs,
    payload: bytes,
    *,
    chosen: Sequence[str],
    run: RunFacts,
    evaluated: Sequence[EvaluationFacts],
) -> Generation:
    """Adds the next generation with its slots, run and numbers. The blob is stored before."""
    fault("row.begun")
    sha256 = sha256_of(payload)
    blobs.ensure(sha256, payload)
    base_models.get(connection, facts["base_model"])
    members = experts.pinned(connection, chosen)
    _check(members, facts["base_model"])
    parent = _newest(connection)
    generation = Generation(
        number=parent + 1,
        parent=parent or None,
        run=runs.add(connection, run),
        experts=tuple(expert.name for expert in members),
        sha256=sha256,
        root="",
        created_at=datetime.now(UTC),
        **facts,
    )
    generation = replace(generation, root=root(connection, generation, members))
    values = {column.name: getattr(generation, column.name) for column in _table.columns}
    connection.execute(insert(_table).values(**values))
    slots = [(parent + 1, slot, one.task, one.version) for slot, one in enumerate(members)]
    insert_rows(connection, _slots, ("generation", "slot", "task", "version"), slots)
    evaluations.add(connection, generation, evaluated)
    fault("row.inserted")
    return resolve(connection, Reference(ROUTER, parent + 1))


def root(connection: Connection, generation: Generation, members: Sequence[Expert | Pinned]) -> str:
    """The digest of a generation's manifest: everything that decides what it predicts, by content."""
    digests = tasks.digests(connection, [(expert.task, expert.dataset) for expert in members])
    manifest = {
        "base_model": generation.base_model,
        "config": generation.config,
        "datasets": [digests.get((expert.task, expert.dataset)) for expert in members],
        "experts": [[expert.name, expert.sha256] for expert in members],
        "router": [generation.router, generation.sha256],
    }
    return sha256_of(canonical_json(manifest).encode())


def _check(members: Sequence[Expert | Pinned], base_model: str) -> None:
    if not members:
        raise InvalidSettingError("A generation needs at least one expert to choose among.")
    names = [expert.name for expert in members]
    if len(set(names)) < len(names):
        raise InvalidSettingError(f"A generation has each expert once; given: {', '.join(names)}.")
    others = [expert.name for expert in members if expert.base_model != base_model]
    if others:
        raise ConflictError(
            f"{', '.join(others)} stand on another base model than {base_model[:12]}. "
            "A generation runs on one base model: leave them out or train them on it."
        )


def _members() -> Select[int, str]:
    """The number of a generation and the name of an expert of it, in slot order."""
    name = _slots.c.task + "@" + cast(_slots.c.version, Text)
    return select(_slots.c.generation, name).order_by(_slots.c.generation, _slots.c.slot)


def _record(row: Row[Any], chosen: Iterable[str]) -> Generation:
    return Generation(**row._mapping, experts=tuple(chosen))


def _newest(connection: Connection) -> int:
    newest: int | None = connection.scalar(select(func.max(_table.c.number)))
    return newest or 0
