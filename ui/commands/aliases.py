"""`promote`, `rollback`, `alias` and `history`: the names that move."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from registry.errors import NotFoundError
from ui.group import Session, common_options, pass_session

if TYPE_CHECKING:
    from registry.records import Alias, AliasEvent

reason_option = click.option("--reason", default="", help="Why; kept in the history.")


@click.command("promote")
@click.argument("reference", metavar="NAME")
@click.option("--alias", "name", default="production", show_default=True, help="The alias to move.")
@reason_option
@common_options
@pass_session
def promote(session: Session, reference: str, name: str, reason: str) -> None:
    """Put a generation or an expert into production.

    NAME is a router generation (router@3) or an expert version (boolq@2).
    """
    with session.open() as registry:
        _echo_alias(session, registry.promote(reference, alias=name, reason=reason))


@click.command("rollback")
@click.argument("name", metavar="[ALIAS]", default="production")
@reason_option
@common_options
@pass_session
def rollback(session: Session, name: str, reason: str) -> None:
    """Take the last move of an alias back.

    ALIAS is production of the router, or one of a task's, such as boolq@stable.
    """
    with session.open() as registry:
        _echo_alias(session, registry.rollback(name, reason=reason))


@click.command("alias")
@click.argument("name", metavar="[ALIAS]", required=False)
@click.argument("reference", metavar="[NAME]", required=False)
@click.option("--remove", is_flag=True, help="Take the alias away; its history stays.")
@reason_option
@common_options
@pass_session
def alias(session: Session, name: str | None, reference: str | None, remove: bool, reason: str) -> None:
    """List, set or remove aliases.

    Without arguments: list them. With ALIAS and NAME: let the alias stand for that generation or expert.
    """
    if (name is None) != (reference is None) and not (remove and name is not None):
        raise click.UsageError(
            "give an ALIAS and a NAME to set one, ALIAS --remove to take one away, or nothing"
        )
    with session.open() as registry:
        if name is None:
            _echo_all(session, registry.aliases())
        elif remove:
            registry.alias(name, None, reason=reason)
            events = registry.history(name)
            _echo_removed(session, next(event for event in events if event.action == "remove"))
        else:
            moved = registry.promote(str(reference), alias=name, reason=reason)
            _echo_alias(session, moved)


@click.command("history")
@click.argument("name", metavar="[ALIAS]", default="production")
@click.option(
    "--at",
    metavar="DATE[TIME]",
    help="What it stood for on that day (2026-05-03) or at that moment ('2026-05-03 14:00', in local time; "
    "2026-05-03T14:00Z).",
)
@common_options
@pass_session
def history(session: Session, name: str, at: str | None) -> None:
    """Tell every move of an alias, newest first, or what it stood for at a time."""
    from ui import gates, present

    with session.open() as registry:
        events = registry.history(name)
    if at is not None:
        _echo_stretches(session, events, at)
        return
    if session.json:
        session.print_json([asdict(event) for event in events])
        return
    present.echo_table(
        ("when", "what", "target", "before", "by", "gate", "reason"),
        [
            (
                present.moment(event.created_at),
                event.action,
                *(given or "-" for given in (event.target, event.previous, event.actor)),
                gates.summary(event.gate),
                event.reason,
            )
            for event in events
        ],
    )


def _echo_stretches(session: Session, events: "Sequence[AliasEvent]", at: str) -> None:
    """Which router answered then: what the alias stood for, since when and until when."""
    from registry.promotion import stretches
    from ui import present

    found = stretches(events, *_span(at))
    if not found:
        first = present.moment(events[-1].created_at)
        raise NotFoundError(
            f"{events[0].alias} stood for nothing at {at}: its first move was {first} local time; "
            f"`registry history {events[0].alias}` lists all."
        )
    if session.json:
        session.print_json(
            [
                {
                    "alias": one.alias,
                    "target": one.target,
                    "from": one.begun.created_at,
                    "until": None if one.ended is None else one.ended.created_at,
                    "reason": one.begun.reason,
                    "actor": one.begun.actor,
                }
                for one in found
            ]
        )
        return
    zone = found[0].begun.created_at.astimezone().tzname()
    present.echo_table(
        ("target", f"from ({zone})", "until", "by", "reason"),
        [
            (
                one.target,
                present.moment(one.begun.created_at),
                "now" if one.ended is None else present.moment(one.ended.created_at),
                one.begun.actor or "-",
                one.begun.reason,
            )
            for one in found
        ],
    )


def _span(given: str) -> tuple[datetime, datetime]:
    """The first moment of what was given, and the first after it; a moment has no length."""
    try:
        whole_day = len(given) == len("2026-05-03") and date.fromisoformat(given) is not None
        start = datetime.fromisoformat(given)
        end = start + timedelta(days=1) if whole_day else start
        # A time without a zone is the reader's own.
        span = start.astimezone(), end.astimezone()
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{given!r} is no time; write 2026-05-03, '2026-05-03 14:00' or 2026-05-03T14:00Z",
            param_hint="'--at'",
        ) from None
    if span[0] > datetime.now(UTC):
        raise click.BadParameter(f"{given} is yet to come", param_hint="'--at'")
    return span


def _alias_json(alias: "Alias") -> dict[str, Any]:
    return {"alias": alias.ref, "target": alias.target, "moved_at": alias.moved_at}


def _echo_alias(session: Session, alias: "Alias") -> None:
    if session.json:
        session.print_json(_alias_json(alias))
    else:
        click.echo(f"{alias.ref} is now {alias.target}.")


def _echo_removed(session: Session, event: "AliasEvent") -> None:
    if session.json:
        session.print_json({"alias": event.alias, "target": None, "moved_at": event.created_at})
    else:
        click.echo(f"{event.alias} is no alias any more.")


def _echo_all(session: Session, aliases: "list[Alias]") -> None:
    if session.json:
        session.print_json([_alias_json(alias) for alias in aliases])
    elif not aliases:
        click.echo("No aliases yet. registry retrain-router makes the first, router@production.")
    else:
        from ui import present

        rows = [(alias.ref, alias.target, present.moment(alias.moved_at)) for alias in aliases]
        present.echo_table(("alias", "target", "moved"), rows)
