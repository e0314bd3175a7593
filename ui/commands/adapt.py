"""`adapt`."""

from typing import Any

import click

from ui.commands.jobs import detach_option, finish
from ui.group import Session, common_options, pass_session


@click.command("adapt")
@click.option("--data", required=True, help="CSV, TSV, JSON Lines or Parquet file of 8 to 64 rows.")
@click.option("--name", help="Name of the task [default: the file's name].")
@click.option("--kind", help="Kind of task [default: told from the columns].")
@click.option("--text", help="Column of the text [default: text].")
@click.option("--text-pair", help="Column of the second text, for tasks on pairs.")
@click.option("--label", help="Column of the label [default: label].")
@click.option("--validation", help="File of validation rows [default: a tenth of the rows].")
@click.option("--test", help="File of test rows [default: a tenth of the rows].")
@click.option(
    "--expert",
    "experts",
    multiple=True,
    help="An expert that may be combined; repeat it [default: all of other tasks, but retired ones].",
)
@click.option("--rank", type=click.IntRange(min=1), help="Rank of the new expert [default: at most 16].")
@click.option(
    "--max-length",
    type=click.IntRange(min=8),
    default=128,
    show_default=True,
    help="Tokens of a text that are read.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@detach_option
@common_options
@pass_session
def adapt(session: Session, /, *, data: str, experts: tuple[str, ...], detach: bool, **options: Any) -> None:
    """Combine experts into one for a new task, from a few labelled texts.

    Takes no training: which experts, with which weights, is found by trying, and the
    answers are read off what they see. With more than 64 rows add-task does better.
    """
    from trainer.jobs.adapt import submit

    with session.open() as registry:
        job = submit(registry, data, experts=list(experts) or None, **options)
        finish(session, registry, job, detach=detach)
