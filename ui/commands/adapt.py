"""`adapt`."""

from typing import Any

import click

from ui.commands.jobs import finish
from ui.commands.options import detach_option, device_option, max_length_option, task_options
from ui.group import Session, common_options, pass_session


@click.command("adapt")
@click.option("--data", required=True, help="CSV, TSV, JSON Lines or Parquet file of 8 to 64 rows.")
@task_options
@click.option(
    "--expert",
    "experts",
    multiple=True,
    help="An expert that may be combined; repeat it [default: all of other tasks, but retired ones].",
)
@click.option("--rank", type=click.IntRange(min=1), help="Rank of the new expert [default: at most 16].")
@max_length_option
@device_option
@detach_option
@common_options
@pass_session
def adapt(session: Session, /, *, data: str, experts: tuple[str, ...], detach: bool, **options: Any) -> None:
    """Combine experts into one for a new task, from a few labelled texts.

    Takes no training: which experts, with which weights, is found by trying, and the
    answers are read off what they see. With more than 64 rows add-task does better.
    """
    from trainer.jobs.adapt import submit

    chosen = {name: value for name, value in options.items() if value is not None}
    with session.open() as registry:
        job = submit(registry, data, experts=list(experts) or None, **chosen)
        finish(session, registry, job, detach=detach)
