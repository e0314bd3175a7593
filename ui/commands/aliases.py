"""`promote`, `rollback`, `alias` and `history`: the names that move."""

import os
from typing import TYPE_CHECKING, Any

import click

from ui.group import Session, common_options, pass_session

if TYPE_CHECKING:
    from registry.records import Alias

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
        _echo_alias(session, registry.promote(reference, alias=name, reason=reason, actor=_actor()))


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
        _echo_alias(session, registry.rollback(name, reason=reason, actor=_actor()))


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
            registry.alias(name, None, reason=reason, actor=_actor())
            click.echo(f"{name} is no alias any more.", err=True)
        else:
            moved = registry.promote(str(reference), alias=name, reason=reason, actor=_actor())
            _echo_alias(session, moved)


@click.command("history")
@click.argument("name", metavar="[ALIAS]", default="production")
@common_options
@pass_session
def history(session: Session, name: str) -> None:
    """Tell every move of an alias, newest first."""
    from ui import present

    with session.open() as registry:
        events = registry.history(name)
    if session.json:
        session.print_json(
            [
                {
                    "alias": event.alias,
                    "action": event.action,
                    "target": event.target,
                    "previous": event.previous,
                    "reason": event.reason,
                    "actor": event.actor,
                    "created_at": event.created_at,
                }
                for event in events
            ]
        )
        return
    present.echo_table(
        ("when", "what", "target", "before", "by", "reason"),
        [
            (
                present.moment(event.created_at),
                event.action,
                *(given or "-" for given in (event.target, event.previous, event.actor)),
                event.reason,
            )
            for event in events
        ],
    )


def _actor() -> str | None:
    """Who moves the alias, as far as the environment says."""
    return os.environ.get("LOGNAME") or os.environ.get("USER")


def _alias_json(alias: "Alias") -> dict[str, Any]:
    return {"alias": alias.ref, "target": alias.target, "moved_at": alias.moved_at}


def _echo_alias(session: Session, alias: "Alias") -> None:
    if session.json:
        session.print_json(_alias_json(alias))
    else:
        click.echo(f"{alias.ref} is now {alias.target}.")


def _echo_all(session: Session, aliases: "list[Alias]") -> None:
    if session.json:
        session.print_json([_alias_json(alias) for alias in aliases])
    elif not aliases:
        click.echo("No aliases yet. registry retrain-router makes the first, router@production.")
    else:
        from ui import present

        rows = [(alias.ref, alias.target, present.moment(alias.moved_at)) for alias in aliases]
        present.echo_table(("alias", "target", "moved"), rows)
