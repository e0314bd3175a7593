"""`train-mixture`."""

from typing import Any

import click

from ui.commands.jobs import finish
from ui.commands.options import (
    ABOVE_ZERO,
    column_options,
    detach_option,
    device_option,
    epochs_option,
    patience_option,
)
from ui.group import Finite, Session, common_options, pass_session


@click.command("train-mixture")
@click.option("--data", required=True, help="CSV, TSV, JSON Lines or Parquet file of the corpus.")
@click.option(
    "--experts",
    "first",
    multiple=True,
    required=True,
    metavar="EXPERT...",
    help="The experts to mix, two or more.",
)
@click.argument("others", nargs=-1, metavar="[EXPERT]...")
@click.option("--freeze-experts", is_flag=True, help="Train the gate alone; the experts stay as they are.")
@click.option(
    "--gate",
    help="shared: weigh each token once; per-layer: anew at each layer that experts adapt [default: shared].",
)
@click.option("--top-k", type=click.IntRange(min=2), help="Experts that mix in each token [default: all].")
@click.option("--balance", type=Finite(min=0), help="Weight of the loss of uneven use [default: 0.01].")
@column_options
@epochs_option
@click.option("--batch-size", type=click.IntRange(min=1), help="Rows per step [default: 32].")
@click.option("--gate-learning-rate", type=ABOVE_ZERO, help="Highest learning rate of the gate.")
@click.option("--learning-rate", type=ABOVE_ZERO, help="Highest learning rate of the adapters.")
@click.option("--head-learning-rate", type=ABOVE_ZERO, help="Highest learning rate of the heads.")
@patience_option
@click.option("--seed", type=int, help="Seed of everything random [default: 0].")
@device_option
@detach_option
@common_options
@pass_session
def train_mixture(
    session: Session,
    /,
    *,
    data: str,
    first: tuple[str, ...],
    others: tuple[str, ...],
    text: str | None,
    text_pair: str | None,
    label: str | None,
    device: str,
    detach: bool,
    **settings: Any,
) -> None:
    """Train a gate that mixes experts in every token, and the experts with it.

    The result is the next router generation, router@candidate; production stays as it is. Experts that
    learn become new versions, the old ones stay. Ctrl-C stops at the next step; the same command goes on.
    """
    from trainer.jobs.train_mixture import submit

    columns = {"text": text, "text_pair": text_pair, "label": label}
    chosen = {name: value for name, value in settings.items() if value is not None}
    with session.open() as registry:
        job = submit(registry, data, experts=[*first, *others], settings=chosen, device=device, **columns)
        finish(session, registry, job, detach=detach)
