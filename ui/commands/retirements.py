"""`retire`: what is not wanted in the next generation any more, and what is wanted again."""

from typing import TYPE_CHECKING

import click

from ui.commands.aliases import reason_option
from ui.group import Session, common_options, pass_session

if TYPE_CHECKING:
    from registry.retirements import Retirement


@click.command("retire")
@click.argument("reference", metavar="NAME")
@click.option("--undo", is_flag=True, help="Take it back: it is wanted again.")
@reason_option
@common_options
@pass_session
def retire(session: Session, reference: str, undo: bool, reason: str) -> None:
    """Keep a task or an expert out of generations to come.

    NAME is a task (boolq), with all its experts, or an expert version (boolq@2). Nothing is deleted:
    generations that have it keep it and go on answering.
    """
    from ui.views.retirements import as_json

    with session.open() as registry:
        turn = registry.retirements.undo if undo else registry.retirements.retire
        event = turn(reference, reason=reason)
    if session.json:
        session.print_json(as_json(reference, event))
    else:
        _echo(reference, event)


def _echo(reference: str, event: "Retirement | None") -> None:
    from ui import present

    if event is None:
        click.echo(f"{present.plain(reference)} is not retired.")
    elif event.retired:
        click.echo(f"{event.subject} is retired. Generations that have it keep it.")
        present.next_step("registry retrain-router")
    else:
        click.echo(f"{event.subject} is retired no more.")
        present.next_step("registry retrain-router")
