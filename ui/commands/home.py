"""`verify`, `doctor`, `path` and `migrate`: the care of a registry's home."""

import click

from ui.group import Session, common_options, pass_session


@click.command("verify")
@click.argument("reference", metavar="[NAME]", required=False)
@common_options
@pass_session
def verify(session: Session, reference: str | None) -> None:
    """Recompute every digest and tell what does not match.

    NAME is a task, an expert or a generation [default: everything]. Exit code 1 when something is wrong."""
    from ui import present

    with session.open() as registry:
        problems = registry.verify(reference)
    if session.json:
        session.print_json([{"subject": problem.subject, "what": problem.what} for problem in problems])
    elif problems:
        present.echo_table(("subject", "problem"), [(p.subject, p.what) for p in problems])
    else:
        click.echo(f"{reference or 'Everything'} is as it was stored.")
    if problems:
        click.get_current_context().exit(1)


@click.command("doctor")
@common_options
@pass_session
def doctor(session: Session) -> None:
    """Look for what could go wrong on this machine.

    Exit code 1 when something is wrong."""
    from ui import doctor as examination
    from ui import present

    checks = examination.examine(session)
    if session.json:
        session.print_json(
            [{"check": c.name, "state": c.state, "value": c.value, "advice": c.advice} for c in checks]
        )
    else:
        present.echo_table(
            ("check", "state", "value"),
            [(c.name, c.state, c.value + (f". {c.advice}" if c.advice else "")) for c in checks],
        )
    if any(check.state == "wrong" for check in checks):
        click.get_current_context().exit(1)


@click.command("path")
@click.argument("what", type=click.Choice(["home", "database", "blobs", "cache"]), required=False)
@common_options
@pass_session
def path(session: Session, what: str | None) -> None:
    """Print where everything is kept."""
    from ui import doctor as examination
    from ui import present

    places = {name: str(place) for name, place in examination.places(session.home).items()}
    if what is not None:
        session.print_json(places[what]) if session.json else click.echo(places[what])
    elif session.json:
        session.print_json(places)
    else:
        present.echo_fields(places)


@click.command("migrate")
@common_options
@pass_session
def migrate(session: Session) -> None:
    """Bring an older database up to date.

    A backup is made beside it first. All of it happens, or none.
    """
    from registry.database import migrate as run
    from ui import doctor as examination

    backup = run(examination.places(session.home)["home"])
    if session.json:
        session.print_json({"backup": backup})
    elif backup is None:
        click.echo("The database is up to date.")
    else:
        click.echo(f"The database is up to date. Before: {backup}")
