"""Moving aliases: to an expert or generation, back to where they were, or away."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Unpack

from sqlalchemy import Connection

from registry import aliases, subjects, tasks
from registry.errors import ConflictError
from registry.names import ROUTER, parse_alias
from registry.records import Alias, AliasEvent, Expert, Move


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A time during which an alias stood for one thing."""

    alias: str
    target: str
    begun: AliasEvent
    ended: AliasEvent | None
    """`None` while it still stands for it."""


def promote(connection: Connection, ref: str, alias: str, **said: Unpack[Move]) -> Alias:
    """Lets `alias` stand for what `ref` names. An alias without a subject belongs to that of `ref`."""
    target = subjects.get(connection, ref)
    owner = target.task if isinstance(target, Expert) else ROUTER
    subject, name = parse_alias(alias, owner)
    if subject != owner:
        raise ConflictError(
            f"The alias '{subject}@{name}' cannot stand for {target.name}; use '{owner}@{name}'."
        )
    aliases.move(connection, owner, name, subjects.number(target), **said)
    return aliases.get(connection, owner, name)


def rollback(connection: Connection, alias: str, **said: Unpack[Move]) -> Alias:
    """Lets `alias` stand for what it stood for before."""
    subject, name = _known(connection, alias)
    earlier = aliases.earlier(connection, subject, name)
    aliases.move(connection, subject, name, earlier, action="rollback", **said)
    return aliases.get(connection, subject, name)


def remove(connection: Connection, alias: str, **said: Unpack[Move]) -> None:
    """Takes `alias` away; its history stays."""
    subject, name = _known(connection, alias)
    aliases.get(connection, subject, name)
    aliases.move(connection, subject, name, None, action="remove", **said)


def history(connection: Connection, alias: str, limit: int | None = None) -> list[AliasEvent]:
    """Every move of `alias`, or the newest few; newest first."""
    return aliases.history(connection, *_known(connection, alias), limit=limit)


def stretches(events: Sequence[AliasEvent], start: datetime, end: datetime) -> list[Stretch]:
    """What an alias stood for at `start`, and from then on until before `end`, oldest first.

    Args:
        events: Every move of the alias, newest first, as `Registry.history` gives them.
        start: The first moment asked about.
        end: The first moment that is not; equal to `start` for that one moment.
    """
    found = []
    moves = list(reversed(events))
    for begun, ended in zip(moves, [*moves[1:], None], strict=True):
        began_in_time = begun.created_at <= start or begun.created_at < end
        lasted = ended is None or ended.created_at > start
        if began_in_time and lasted and begun.target is not None:
            found.append(Stretch(alias=begun.alias, target=begun.target, begun=begun, ended=ended))
    return found


def _known(connection: Connection, alias: str) -> tuple[str, str]:
    subject, name = parse_alias(alias, ROUTER)
    if subject != ROUTER:
        tasks.get(connection, subject)
    return subject, name
