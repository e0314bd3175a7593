"""`show`, `lineage` and `diff`: what one thing is, where it came from, and how two differ."""

from typing import Any

import click

from ui.group import Session, common_options, pass_session


@click.command("show")
@click.argument("reference", metavar="NAME")
@common_options
@pass_session
def show(session: Session, reference: str) -> None:
    """Tell everything about one thing.

    NAME is a task (boolq), an expert (boolq@2), a router generation (router@3) or an alias.
    """
    from ui import cards

    with session.open() as registry:
        card = cards.card(registry, reference)
    if session.json:
        session.print_json(card)
    else:
        cards.echo(card)


@click.command("lineage")
@click.argument("reference", metavar="NAME")
@click.option(
    "--format",
    "form",
    type=click.Choice(["tree", "json", "mermaid"]),
    default="tree",
    show_default=True,
    help="How to write it.",
)
@common_options
@pass_session
def lineage(session: Session, reference: str, form: str) -> None:
    """Tell what a thing came from and what uses it."""
    with session.open() as registry:
        found = registry.lineage(reference)
    if session.json or form == "json":
        click.echo(found.to_json())
    elif form == "mermaid":
        click.echo(found.to_mermaid())
    else:
        from ui import present

        click.echo("\n".join(present.plain(line) for line in found.to_tree().splitlines()))


@click.command("diff")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@common_options
@pass_session
def diff(session: Session, first: str, second: str) -> None:
    """Tell how two experts or generations differ."""
    from ui import cards, present

    with session.open() as registry:
        differences = cards.differences(cards.card(registry, first), cards.card(registry, second))
    if session.json:
        session.print_json(differences)
    elif not differences["differences"]:
        click.echo(f"{differences['a']} and {differences['b']} do not differ.")
    else:
        present.echo_table(
            ("", differences["a"], differences["b"]),
            [(name, *map(_cell, pair)) for name, pair in differences["differences"].items()],
        )


def _cell(value: Any) -> str:
    from ui import present

    return present.value(value)
