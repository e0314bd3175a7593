"""Expert versions: finding them, and adding the next one."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypedDict, Unpack

from sqlalchemy import Connection, Select, func, insert, select, tuple_

from registry import aliases, base_models, combinations, evaluations, pairs, runs, schema, tasks
from registry.blobs import Blobs
from registry.canonical import sha256_of
from registry.errors import ConflictError, NotFoundError
from registry.faults import fault
from registry.names import ROUTER, Reference, parse
from registry.records import EvaluationFacts, Expert, NewExpert, RunFacts

_table = schema.experts


class Pinned(NamedTuple):
    """What a generation pins of an expert."""

    task: str
    version: int
    base_model: str
    dataset: int
    sha256: str

    @property
    def name(self) -> str:
        """Such as `sst2@3`."""
        return f"{self.task}@{self.version}"


class Which(TypedDict, total=False):
    """Which experts a list holds."""

    all_versions: bool
    """All, and not only the newest of each task."""
    limit: int | None
    """A page of at most so many."""
    after: str | None
    """The expert that the page before ended with."""
    names: Sequence[str]
    """Exactly these, in this order; looked up together, since a generation may have a thousand."""


def every(connection: Connection, task: str | None = None, **which: Unpack[Which]) -> list[Expert]:
    """The newest expert of each task (or of one task), or all versions; by task and version."""
    if "names" in which:
        return each(connection, which["names"])
    after = which.get("after")
    wanted = select(_table).order_by(_table.c.task, _table.c.version).limit(which.get("limit"))
    if after is not None:
        last = get(connection, after)
        wanted = wanted.where(tuple_(_table.c.task, _table.c.version) > (last.task, last.version))
    if task is not None:
        tasks.get(connection, task)
        wanted = wanted.where(_table.c.task == task)
    if not which.get("all_versions"):
        newer = _table.alias()
        wanted = wanted.where(
            ~select(newer.c.version)
            .where(newer.c.task == _table.c.task, newer.c.version > _table.c.version)
            .exists()
        )
    return [Expert(**row._mapping) for row in connection.execute(wanted)]


def get(connection: Connection, ref: str) -> Expert:
    """The expert that `sst2`, `sst2@3` or `sst2@stable` names."""
    return resolve(connection, parse(ref))


def resolve(connection: Connection, reference: Reference) -> Expert:
    """The expert of a parsed name: by version, by alias, or the newest."""
    task, version = reference.subject, reference.version
    if task == ROUTER:
        raise NotFoundError(f"'{reference}' is a generation of the router; name an expert, such as sst2@3.")
    if version is None and reference.alias is not None:
        tasks.get(connection, task)
        version = aliases.number(aliases.get(connection, task, reference.alias))
    wanted = select(_table).where(_table.c.task == task).order_by(_table.c.version.desc()).limit(1)
    if version is not None:
        wanted = wanted.where(_table.c.version == version)
    row = connection.execute(wanted).one_or_none()
    if row is None:
        tasks.get(connection, task)
        newest = _newest(connection, task)
        state = f"{task} has versions 1 to {newest}" if newest else f"{task} has no expert yet"
        raise NotFoundError(f"There is no expert '{reference}': {state}.")
    return Expert(**row._mapping)


def each(connection: Connection, refs: Sequence[str]) -> list[Expert]:
    """The experts that many names name, in their order; looked up together."""
    references = [parse(ref) for ref in refs]
    rows = connection.execute(_versions(select(_table), references))
    known = {(row.task, row.version): Expert(**row._mapping) for row in rows}
    return [known.get((one.subject, one.version or 0)) or resolve(connection, one) for one in references]


def pinned(connection: Connection, refs: Sequence[str]) -> list[Expert | Pinned]:
    """The same, and of those named by version only what a generation pins: most of a record is JSON to
    read."""
    references = [parse(ref) for ref in refs]
    rows = connection.execute(_versions(select(*(_table.c[name] for name in Pinned._fields)), references))
    known = {(row.task, row.version): Pinned(*row) for row in rows}
    return [known.get((one.subject, one.version or 0)) or resolve(connection, one) for one in references]


def _versions(wanted: Select[Any], references: Iterable[Reference]) -> Select[Any]:
    """Of what is wanted, that of the experts named by version."""
    among = pairs.table((one.subject, one.version) for one in references if one.version is not None)
    return wanted.join(among, (_table.c.task == among.c.task) & (_table.c.version == among.c.number))


def find(connection: Connection, *, task: str, dataset_sha256: str, settings_key: str) -> Expert | None:
    """The newest expert made from these very rows with these very settings, if there is one."""
    datasets = schema.datasets
    row = connection.execute(
        select(_table)
        .join(datasets, (datasets.c.task == _table.c.task) & (datasets.c.version == _table.c.dataset))
        .where(
            _table.c.task == task,
            _table.c.settings_key == settings_key,
            datasets.c.sha256 == dataset_sha256,
        )
        .order_by(_table.c.version.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else Expert(**row._mapping)


def add(
    connection: Connection,
    facts: NewExpert,
    blobs: Blobs,
    payload: bytes,
    *,
    run: RunFacts,
    evaluated: Sequence[EvaluationFacts],
) -> Expert:
    """Adds the next version of a task's expert, with its run and its numbers. The blob is stored before."""
    fault("row.begun")
    task, sha256 = facts["task"], sha256_of(payload)
    blobs.ensure(sha256, payload)
    kind = tasks.get(connection, task).kind
    tasks.dataset(connection, task, facts["dataset"])
    base_models.get(connection, facts["base_model"])
    parent = _newest(connection, task)
    weights = facts.get("combined_from", {})
    for part in each(connection, list(weights)):
        if part.base_model != facts["base_model"]:
            raise ConflictError(f"{part.name} stands on another base model: combine experts of one.")
    own = {name: value for name, value in facts.items() if name != "combined_from"}
    connection.execute(
        insert(_table).values(
            version=parent + 1,
            parent=parent or None,
            kind=kind,
            run=runs.add(connection, run),
            sha256=sha256,
            bytes=len(payload),
            created_at=datetime.now(UTC),
            **own,
        )
    )
    combinations.add(connection, task, parent + 1, weights)
    expert = resolve(connection, Reference(task, parent + 1))
    evaluations.add(connection, expert, evaluated)
    fault("row.inserted")
    return expert


def _newest(connection: Connection, task: str) -> int:
    newest: int | None = connection.scalar(select(func.max(_table.c.version)).where(_table.c.task == task))
    return newest or 0
