"""`make demo`: three tasks, one router, and texts that nobody labelled, on the real base model.

    python -m ui.demo [HOME]

Everything is kept in HOME (`.demo`), so that a second run reuses it. REGISTRY_BASE_MODEL names
another base model than the default.
"""

import os
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import click

from ui import present
from ui.group import OneLineErrors, Session
from ui.progress import reporting

if TYPE_CHECKING:
    from trainer.pipeline import AddedTask, RetrainedRouter
    from trainer.predictions import Prediction

EXAMPLES = Path(__file__).parent.parent / "examples"
TASKS = ("sentiment", "question_type", "support_intent")


def run(home: Path, base_model: str | None) -> None:
    """Add the example tasks to `home`, fit the router, predict the unlabelled texts, print the table."""
    click.echo(
        "The first run loads the base model and trains for some minutes; the next reuses all of it.", err=True
    )
    began = monotonic()
    from trainer.moe import MoE
    from trainer.pipeline import add_task, retrain_router

    added, costs = [], []
    with Session(home=home).open() as registry:
        for task in TASKS:
            with reporting() as report:
                data = EXAMPLES / f"{task}.csv"
                one = add_task(registry, data, name=task, base_model=base_model, on_progress=report)
            click.echo(f"{one.expert.name} {'is frozen' if one.created else 'is there already'}", err=True)
            added.append(one)
            costs.append(registry.run(one.expert.run).seconds)
        with reporting() as report:
            fitted = retrain_router(registry, on_progress=report)
            texts = (EXAMPLES / "unlabelled.txt").read_text(encoding="utf-8").splitlines()
            predictions = MoE.load(registry, on_progress=report).predict(texts, on_progress=report)
    show(added, costs, fitted, predictions)
    click.echo(f"this run: {monotonic() - began:.0f} s", err=True)
    home_option = f"--home {os.path.relpath(home)}"
    present.next_step(f'.venv/bin/registry {home_option} predict "Where can I see my invoices?"')


def show(
    added: "list[AddedTask]",
    costs: list[float],
    fitted: "RetrainedRouter",
    predictions: "list[Prediction]",
) -> None:
    """Print the answers, then what each task cost to train, in seconds, and what it reached."""
    for prediction in predictions:
        present.echo_prediction(prediction)
    click.echo()
    present.echo_table(
        ("task", "expert", "parameters", "test accuracy", "routing accuracy", "seconds"),
        [
            (
                one.expert.task,
                one.expert.name,
                present.number(one.expert.parameters),
                present.headline(one.metrics, "test"),
                present.number(fitted.per_task[one.expert.task]["routing_accuracy"]),
                f"{cost:.1f}",
            )
            for one, cost in zip(added, costs, strict=True)
        ],
    )
    place = "in production" if fitted.promoted else f"a candidate: {fitted.gate}"
    click.echo(f"{fitted.generation.name} ({fitted.generation.router}), {place}")
    present.echo_metrics({"test": fitted.metrics["test"]})


@click.command(cls=OneLineErrors)
@click.argument("home", type=click.Path(path_type=Path), default=".demo")
@click.option("--base-model", envvar="REGISTRY_BASE_MODEL", help="Another base model than the default.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the Python traceback of an error.")
def main(home: Path, base_model: str | None) -> None:
    """Show the whole way: three tasks, one router, texts that nobody labelled."""
    run(home, base_model)


if __name__ == "__main__":
    main()
