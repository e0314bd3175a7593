"""Measured numbers of experts and generations."""

import math
from collections.abc import Iterable, Sequence, Set
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, select, tuple_

from registry import schema, tasks
from registry.canonical import canonical_json
from registry.columns import Time
from registry.errors import InvalidSettingError, not_found
from registry.inserting import insert_rows
from registry.names import ROUTER
from registry.records import Evaluation, EvaluationFacts, Expert, Generation

_table = schema.evaluations

# SQLite allows a limited number of values in one statement.
_AT_ONCE = 400


_SUBJECT = ("expert_task", "expert_version", "generation")
_FACTS = ("task", "dataset_version", "split", "metric", "value", "examples", "details", "created_at")
_columns = [_table.c[name] for name in (*_SUBJECT, "id", *_FACTS)]


def add(connection: Connection, subject: Expert | Generation, facts: Sequence[EvaluationFacts]) -> None:
    """Puts numbers measured of an expert or a generation on record, in the order given."""
    of = (
        (subject.task, subject.version, None) if isinstance(subject, Expert) else (None, None, subject.number)
    )
    for fact in facts:
        if not math.isfinite(fact.value):
            raise InvalidSettingError(f"{subject.name}: {fact.metric} is {fact.value}, not a finite number.")
    measured_on = _measured_on(connection, subject, {fact.dataset for fact in facts})
    now = Time().process_bind_param(datetime.now(UTC), connection.dialect)
    rows = [
        (
            *of,
            *measured_on[fact.dataset],
            fact.split,
            fact.metric,
            fact.value,
            fact.examples,
            None if fact.details is None else canonical_json(fact.details),
            now,
        )
        for fact in facts
    ]
    insert_rows(connection, _table, (*_SUBJECT, *_FACTS), rows)


def of(connection: Connection, names: Iterable[str]) -> dict[str, list[Evaluation]]:
    """The numbers of each named expert version or generation, newest first."""
    found: dict[str, list[Evaluation]] = {name: [] for name in names}
    wanted = list(found)
    for start in range(0, len(wanted), _AT_ONCE):
        among = _among(wanted[start : start + _AT_ONCE])
        rows = connection.execute(select(*_columns).where(among).order_by(_table.c.id.desc()))
        for task, version, generation, *facts in rows:
            name = f"{ROUTER}@{generation}" if task is None else f"{task}@{version}"
            values = dict(zip(("id", *_FACTS), facts, strict=True))
            found[name].append(Evaluation(subject=name, **values))
    return found


def _among(names: Sequence[str]) -> ColumnElement[bool]:
    pairs = [(subject, int(number)) for subject, _, number in (name.rpartition("@") for name in names)]
    experts = [pair for pair in pairs if pair[0] != ROUTER]
    generations = [number for subject, number in pairs if subject == ROUTER]
    return tuple_(_table.c.expert_task, _table.c.expert_version).in_(experts) | _table.c.generation.in_(
        generations
    )


def _measured_on(
    connection: Connection, subject: Expert | Generation, names: Set[str | None]
) -> dict[str | None, tuple[str | None, int | None]]:
    """The task and dataset version that numbers of each dataset named belong to: those that the expert was
    trained on."""
    found: dict[str | None, tuple[str | None, int | None]]
    if isinstance(subject, Expert):
        own = (subject.task, subject.dataset)
        found = {None: own, subject.task: own}
        for name in names - found.keys():
            newest = tasks.dataset(connection, str(name))
            found[name] = (newest.task, newest.version)
        return found
    slots, experts = schema.slots, schema.experts
    wanted = (
        select(experts.c.task, experts.c.dataset)
        .join(slots, (slots.c.task == experts.c.task) & (slots.c.version == experts.c.version))
        .where(slots.c.generation == subject.number)
    )
    found = {row.task: (row.task, row.dataset) for row in connection.execute(wanted)}
    for name in names - found.keys() - {None}:
        raise not_found(f"task of {subject.name}", str(name), [str(task) for task in found])
    return found | {None: (None, None)}
