"""`promote`, `rollback`, `alias` and `history`: the names that move."""

from typing import Any

import click

from ui.group import Session, common_options, pass_session

reason_option = click.option("--reason", default="", help="Why; kept in the history.")
alias_option = click.option(
    "--alias", "name", default="production", show_default=True, help="The name to move."
)


@click.command("promote")
@click.argument("reference", metavar="NAME")
@alias_option
@reason_option
@common_options
@pass_session
def promote(session: Session, reference: str, name: str, reason: str) -> None:
    """Put a generation or an expert into production."""
    with session.open() as registry:
        _echo_alias(session, registry.promote(reference, alias=name, reason=reason))


@click.command("rollback")
@alias_option
@reason_option
@common_options
@pass_session
def rollback(session: Session, name: str, reason: str) -> None:
    """Take the last move of an alias back."""
    with session.open() as registry:
        _echo_alias(session, registry.rollback(name, reason=reason))


@click.command("alias")
@click.argument("name", required=False)
@click.argument("reference", metavar="[REFERENCE]", required=False)
@reason_option
@common_options
@pass_session
def alias(session: Session, name: str | None, reference: str | None, reason: str) -> None:
    """List, show, set or remove aliases."""
    with session.open() as registry:
        if name is not None and reference is not None:
            _echo_alias(session, registry.promote(reference, alias=name, reason=reason))
            return
        found = [a for a in registry.aliases() if name is None or a.name == name]
        known = [a.name for a in registry.aliases()]
    if name is not None and not found:
        from registry.errors import NotFoundError, nearest

        raise NotFoundError(f"no alias {name!r}; known: {', '.join(known) or 'none'}.{nearest(name, known)}")
    if session.json:
        session.print_json([_alias_json(a) for a in found])
    elif not found:
        click.echo("No aliases yet. registry retrain-router makes the first, production.")
    else:
        from ui import present

        present.echo_table(
            ("alias", "target", "moved"), [(a.name, a.target, present.moment(a.moved_at)) for a in found]
        )


@click.command("history")
@click.argument("name", default="production")
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
        ("when", "target", "before", "by", "reason"),
        [
            (present.moment(e.created_at), e.target or "-", e.previous or "-", e.actor or "-", e.reason)
            for e in events
        ],
    )


def _alias_json(alias: Any) -> dict[str, Any]:
    return {"alias": alias.name, "target": alias.target, "moved_at": alias.moved_at}


def _echo_alias(session: Session, alias: Any) -> None:
    if session.json:
        session.print_json(_alias_json(alias))
    else:
        click.echo(f"{alias.name} is now {alias.target}.")
