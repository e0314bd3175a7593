"""Options that mean the same in several commands."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from ui.group import Finite

P = ParamSpec("P")
R = TypeVar("R")

ABOVE_ZERO = Finite(min=0, min_open=True)

device_option = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
detach_option = click.option(
    "--detach", is_flag=True, help="Only put it in the queue, for a `registry worker`."
)
epochs_option = click.option(
    "--epochs", type=click.IntRange(min=1), help="Passes over the training rows, at most."
)
patience_option = click.option(
    "--patience", type=click.IntRange(min=1), help="Epochs without gain before training stops."
)
max_length_option = click.option(
    "--max-length", type=click.IntRange(min=8), help="Tokens of a text that are read [default: 128]."
)


def column_options(command: Callable[P, R]) -> Callable[P, R]:
    """Adds --text, --text-pair and --label: which column is what."""
    for option in (
        click.option("--label", help="Column of the answer, whatever it is [default: label, or target]."),
        click.option("--text-pair", help="Column of the second text, for tasks on pairs."),
        click.option("--text", help="Column of the text [default: text]."),
    ):
        command = option(command)
    return command


def task_options(command: Callable[P, R]) -> Callable[P, R]:
    """Adds --name, --kind, --validation, --test and `column_options`: what the rows of a new task are."""
    for option in (
        click.option("--test", help="File of test rows [default: a tenth of the rows]."),
        click.option("--validation", help="File of validation rows [default: a tenth of the rows]."),
        column_options,
        click.option("--kind", help="Kind of task [default: told from the columns]."),
        click.option("--name", help="Name of the task [default: the file's name]."),
    ):
        command = option(command)
    return command
