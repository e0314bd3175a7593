"""Moving aliases: to an expert or generation, back to where they were, or away."""

from sqlalchemy import Connection

from registry import aliases, subjects, tasks
from registry.errors import ConflictError
from registry.names import ROUTER, parse_alias
from registry.records import Alias, AliasEvent, Expert


def promote(connection: Connection, ref: str, alias: str, *, reason: str, actor: str | None) -> Alias:
    """Lets `alias` stand for what `ref` names. An alias without a subject belongs to that of `ref`."""
    target = subjects.get(connection, ref)
    owner = target.task if isinstance(target, Expert) else ROUTER
    subject, name = parse_alias(alias, owner)
    if subject != owner:
        raise ConflictError(
            f"The alias '{subject}@{name}' cannot stand for {target.name}; use '{owner}@{name}'."
        )
    aliases.move(connection, owner, name, subjects.number(target), reason=reason, actor=actor)
    return aliases.get(connection, owner, name)


def rollback(connection: Connection, alias: str, *, reason: str, actor: str | None) -> Alias:
    """Lets `alias` stand for what it stood for before."""
    subject, name = _known(connection, alias)
    earlier = aliases.earlier(connection, subject, name)
    aliases.move(connection, subject, name, earlier, action="rollback", reason=reason, actor=actor)
    return aliases.get(connection, subject, name)


def remove(connection: Connection, alias: str, *, reason: str, actor: str | None) -> None:
    """Takes `alias` away; its history stays."""
    subject, name = _known(connection, alias)
    aliases.get(connection, subject, name)
    aliases.move(connection, subject, name, None, action="remove", reason=reason, actor=actor)


def history(connection: Connection, alias: str) -> list[AliasEvent]:
    """Every move of `alias`, newest first."""
    return aliases.history(connection, *_known(connection, alias))


def _known(connection: Connection, alias: str) -> tuple[str, str]:
    subject, name = parse_alias(alias, ROUTER)
    if subject != ROUTER:
        tasks.get(connection, subject)
    return subject, name
