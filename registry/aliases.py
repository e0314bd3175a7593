"""Movable names: `router@production`, `sst2@stable`. Every move is an event that stays."""

import getpass
from datetime import UTC, datetime
from typing import Any, Unpack

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select

from registry import schema
from registry.errors import NotFoundError, not_found
from registry.faults import fault
from registry.names import ROUTER
from registry.records import Alias, AliasEvent, Move

_aliases = schema.aliases
_events = schema.alias_events


def every(connection: Connection) -> list[Alias]:
    """All aliases, by subject and name."""
    rows = connection.execute(select(_aliases).order_by(_aliases.c.subject, _aliases.c.name))
    return [_record(row) for row in rows]


def find(connection: Connection, subject: str, name: str) -> Alias | None:
    """An alias, if it stands for anything."""
    wanted = select(_aliases).where(_aliases.c.subject == subject, _aliases.c.name == name)
    row = connection.execute(wanted).one_or_none()
    return None if row is None else _record(row)


def get(connection: Connection, subject: str, name: str) -> Alias:
    """An alias; NotFoundError suggests another."""
    found = find(connection, subject, name)
    if found is None:
        known = [alias.ref for alias in every(connection)]
        raise not_found("alias", f"{subject}@{name}", known, otherwise="`registry alias` lists them.")
    return found


def move(
    connection: Connection,
    subject: str,
    name: str,
    to: int | None,
    *,
    action: str = "promote",
    **said: Unpack[Move],
) -> None:
    """Lets an alias stand for version or generation `to`, or takes it away; nothing when it does already."""
    now = datetime.now(UTC)
    before = find(connection, subject, name)
    previous = None if before is None else before.target
    target = None if to is None else f"{subject}@{to}"
    if target == previous:
        return
    fault("promote.begun")
    connection.execute(delete(_aliases).where(_aliases.c.subject == subject, _aliases.c.name == name))
    if to is not None:
        points = {"generation": to} if subject == ROUTER else {"task": subject, "version": to}
        connection.execute(insert(_aliases).values(subject=subject, name=name, moved_at=now, **points))
    fault("promote.moved")
    connection.execute(
        insert(_events).values(
            subject=subject,
            name=name,
            action=action,
            target=target,
            previous=previous,
            reason=said.get("reason", ""),
            actor=said.get("actor") or user(),
            created_at=now,
            gate=said.get("gate"),
        )
    )
    fault("promote.recorded")


def earlier(connection: Connection, subject: str, name: str) -> int:
    """What an alias stood for before what it stands for now: a second rollback goes one further back."""
    get(connection, subject, name)
    trail: list[str] = []
    # Without the verdicts of the gate, which may be long.
    moves = select(_events.c.action, _events.c.target).where(*_of(subject, name)).order_by(_events.c.id)
    for event in connection.execute(moves):
        if event.action == "promote":
            trail.append(event.target)
        elif event.action == "rollback":
            trail.pop()
        else:
            trail.clear()
    if len(trail) < 2:
        raise NotFoundError(
            f"{subject}@{name} has no earlier target. It stands for {trail[-1]} from the start."
        )
    return _number(trail[-2])


def history(connection: Connection, subject: str, name: str, limit: int | None = None) -> list[AliasEvent]:
    """Every move of an alias, or the newest few; newest first. It stays after the alias is taken away."""
    wanted = select(_events).where(*_of(subject, name)).order_by(_events.c.id.desc()).limit(limit)
    rows = connection.execute(wanted).all()
    if not rows:
        get(connection, subject, name)
    return [
        AliasEvent(
            alias=f"{row.subject}@{row.name}",
            action=row.action,
            target=row.target,
            previous=row.previous,
            reason=row.reason,
            actor=row.actor,
            created_at=row.created_at,
            gate=row.gate,
        )
        for row in rows
    ]


def _of(subject: str, name: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _events.c.subject == subject, _events.c.name == name


def _record(row: Row[Any]) -> Alias:
    number = row.version if row.generation is None else row.generation
    return Alias(subject=row.subject, name=row.name, target=f"{row.subject}@{number}", moved_at=row.moved_at)


def number(alias: Alias) -> int:
    """The expert version or generation number that an alias stands for."""
    return _number(alias.target)


def _number(target: str) -> int:
    return int(target.rpartition("@")[2])


def user() -> str | None:
    """The user that this process runs as; a container may run as one that has no name."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return None
