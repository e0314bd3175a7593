"""Measured numbers of experts and generations."""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, tuple_

from registry import schema, tasks
from registry.errors import InvalidSettingError, not_found
from registry.names import ROUTER
from registry.records import Evaluation, EvaluationFacts, Expert, Generation

_table = schema.evaluations

# SQLite allows a limited number of values in one statement.
_AT_ONCE = 400


def add(connection: Connection, subject: Expert | Generation, facts: Sequence[EvaluationFacts]) -> None:
    """Puts numbers measured of an expert or a generation on record, in the order given."""
    now = datetime.now(UTC)
    if isinstance(subject, Expert):
        owner: dict[str, Any] = {"expert_task": subject.task, "expert_version": subject.version}
    else:
        owner = {"generation": subject.number}
    for fact in facts:
        if not math.isfinite(fact.value):
            raise InvalidSettingError(f"{subject.name}: {fact.metric} is {fact.value}, not a finite number.")
        task, dataset = _measured_on(connection, subject, fact.dataset)
        connection.execute(
            insert(_table).values(
                **owner,
                task=task,
                dataset_version=dataset,
                split=fact.split,
                metric=fact.metric,
                value=fact.value,
                examples=fact.examples,
                details=fact.details,
                created_at=now,
            )
        )


def of(connection: Connection, names: Iterable[str]) -> dict[str, list[Evaluation]]:
    """The numbers of each named expert version or generation, newest first."""
    found: dict[str, list[Evaluation]] = {name: [] for name in names}
    wanted = list(found)
    for start in range(0, len(wanted), _AT_ONCE):
        among = _among(wanted[start : start + _AT_ONCE])
        for row in connection.execute(select(_table).where(among).order_by(_table.c.id.desc())):
            values = dict(row._mapping)
            task, version = values.pop("expert_task"), values.pop("expert_version")
            generation = values.pop("generation")
            name = f"{ROUTER}@{generation}" if task is None else f"{task}@{version}"
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
    connection: Connection, subject: Expert | Generation, name: str | None
) -> tuple[str | None, int | None]:
    """The task and dataset version that a number belongs to: those that the expert was trained on."""
    if isinstance(subject, Expert):
        if name in (None, subject.task):
            return subject.task, subject.dataset
        newest = tasks.dataset(connection, str(name))
        return newest.task, newest.version
    if name is None:
        return None, None
    slots, experts = schema.slots, schema.experts
    version = connection.scalar(
        select(experts.c.dataset)
        .join(slots, (slots.c.task == experts.c.task) & (slots.c.version == experts.c.version))
        .where(slots.c.generation == subject.number, slots.c.task == name)
    )
    if version is None:
        known = [expert.partition("@")[0] for expert in subject.experts]
        raise not_found(f"task of {subject.name}", name, known)
    return name, version
