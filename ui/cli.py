"""The `registry` command: opens the registry, makes one call of the library, prints."""

import sys

import click

from ui.commands.adapt import adapt
from ui.commands.aliases import alias, history, promote, rollback
from ui.commands.experts import experts
from ui.commands.home import doctor, migrate, path, verify
from ui.commands.jobs import jobs, worker
from ui.commands.lineage import diff, lineage, show
from ui.commands.mixtures import train_mixture
from ui.commands.predictions import evaluate, predict
from ui.commands.retirements import retire
from ui.commands.routers import retrain_router, routers
from ui.commands.server import token, ui, user
from ui.commands.storage import backup, fsck, gc, restore
from ui.commands.tasks import add_task, tasks
from ui.group import RegistryGroup, common_options, tell_of_defect


@click.group(cls=RegistryGroup, invoke_without_command=True)
@click.version_option(package_name="expert-registry", prog_name="registry")
@common_options
@click.pass_context
def cli(context: click.Context) -> None:
    """Add text tasks one at a time as frozen experts; a router picks who answers.

    \b
    registry add-task --data examples/sentiment.csv
    registry retrain-router
    registry predict "The soup was cold and the waiter rude."

    Names everywhere: boolq is the newest expert of a task, boolq@2 a version, router@3 a generation,
    production an alias. Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 conflict, 5 data refused,
    6 gate refused, 130 interrupted.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (
    *(add_task, adapt, retrain_router, train_mixture, predict, evaluate),
    *(tasks, experts, routers, show, lineage, diff),
    *(jobs, worker),
    *(ui, user, token),
    *(promote, rollback, alias, history, retire),
    *(verify, fsck, gc, backup, restore),
    *(doctor, path, migrate),
):
    cli.add_command(command)


def main() -> None:
    """Entry point of the console script."""
    sys.excepthook = tell_of_defect
    # A terminal without UTF-8 shows a question mark in place of a character it cannot; that is no error.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    cli(prog_name="registry")


if __name__ == "__main__":
    main()
