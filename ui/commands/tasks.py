"""`add-task` and `tasks`."""

from typing import Any

import click

from registry.errors import InvalidSettingError
from ui.commands.jobs import finish
from ui.commands.options import (
    ABOVE_ZERO,
    detach_option,
    device_option,
    epochs_option,
    max_length_option,
    patience_option,
    task_options,
)
from ui.group import Session, common_options, pass_session

SETTINGS = (
    "adapter",
    "preset",
    "rank",
    "alpha",
    "first_layer",
    "targets",
    "options",
    "epochs",
    "batch_size",
    "learning_rate",
    "head_learning_rate",
    "max_length",
    "patience",
    "seed",
    "instant",
    "max_target",
)
"""Options of `add-task` that are fields of `trainer.settings.ExpertSettings` of the same name."""

FOR_ONE_FILE = ("name", "validation", "test")
"""Options of `add-task` that say something of one file."""


@click.command("add-task")
@click.option(
    "--data",
    "files",
    required=True,
    multiple=True,
    help="CSV, TSV, JSON Lines or Parquet file of the task's rows; repeat it for several tasks.",
)
@task_options
@click.option(
    "--base-model",
    envvar="REGISTRY_BASE_MODEL",
    help="Built-in name, folder, GGUF file or Hub id [env: REGISTRY_BASE_MODEL; default: smollm2-135m].",
)
@click.option("--adapter", help="Kind of adapter [default: tt_lora].")
@click.option("--preset", help="Shapes of the cores: default or paper.")
@click.option("--rank", type=click.IntRange(min=1), help="Rank of the adapter.")
@click.option("--alpha", type=ABOVE_ZERO, help="Scale of the adapter's output.")
@click.option("--first-layer", type=click.IntRange(min=0), help="First layer that adapters change.")
@click.option("--targets", help="Linear layers that adapters change, as q_proj,v_proj [default: the kind's].")
@click.option("--options", help="What else the kind of adapter can be told, as block=8; name=value.")
@epochs_option
@click.option("--batch-size", type=click.IntRange(min=1), help="Rows per step.")
@click.option("--learning-rate", type=ABOVE_ZERO, help="Highest learning rate of the adapters.")
@click.option("--head-learning-rate", type=ABOVE_ZERO, help="Highest learning rate of the head.")
@patience_option
@max_length_option
@click.option("--template", help="Text around {text} where answers are written; \\n is a line break.")
@click.option("--max-target", type=click.IntRange(min=2), help="Tokens of an answer to learn, at most.")
@click.option("--seed", type=int, help="Seed of everything random [default: 0].")
@click.option(
    "--instant",
    is_flag=True,
    default=None,
    help="Answer within seconds: first a head alone (kind probe), which stays if training is no better.",
)
@device_option
@detach_option
@common_options
@pass_session
def add_task(
    session: Session,
    /,
    *,
    files: tuple[str, ...],
    template: str | None,
    device: str,
    detach: bool,
    **options: Any,
) -> None:
    """Train a frozen expert from labelled texts; from several files, one of each.

    When the same rows with the same settings are already an expert, there is nothing to do. Changed rows make
    the next version of it; older versions stay as they are. Ctrl-C stops at the next step; the same command
    goes on from there.
    """
    from trainer.jobs import add_task as one
    from trainer.jobs import add_tasks as several

    settings = {name: options.pop(name) for name in SETTINGS}
    # Few shells can be given a line break.
    settings["template"] = None if template is None else template.replace("\\n", "\n")
    chosen = {name: value for name, value in settings.items() if value is not None}
    if len(files) > 1:
        _refuse_for_several({name: options.pop(name) for name in FOR_ONE_FILE})
    with session.open() as registry:
        if len(files) > 1:
            job = several.submit(registry, files, settings=chosen, device=device, **options)
        else:
            job = one.submit(registry, files[0], settings=chosen, device=device, **options)
        finish(session, registry, job, detach=detach)


def _refuse_for_several(given: dict[str, str | None]) -> None:
    for name, value in given.items():
        if value is not None:
            raise InvalidSettingError(
                f"--{name} {value} is for one file, and --data names several: add that one on its own"
            )


@click.command("tasks")
@common_options
@pass_session
def tasks(session: Session) -> None:
    """List the tasks."""
    from ui import present
    from ui.views.retirements import document, in_words

    with session.open() as registry:
        gone = registry.retirements.now()
        newest = {expert.task: expert.name for expert in registry.experts()}
        found = [(task, registry.dataset(task.name)) for task in registry.tasks()]
    retired = {task.name: document(gone, task.name) for task, _ in found}
    if session.json:
        session.print_json(
            [
                {
                    "task": task.name,
                    "kind": task.kind,
                    "labels": list(dataset.labels),
                    "dataset": dataset.name,
                    "rows": present.rows(dataset.rows),
                    "expert": newest.get(task.name),
                    "retired": retired[task.name],
                }
                for task, dataset in found
            ]
        )
    elif not found:
        click.echo("No tasks yet. Add one: registry add-task --data examples/sentiment.csv")
    else:
        present.echo_table(
            ("task", "kind", "labels", "train", "validation", "test", "expert", "retired"),
            [
                (
                    task.name,
                    task.kind,
                    present.plain(", ".join(dataset.labels), 40),
                    *(f"{dataset.rows.get(split, 0):,}" for split in ("train", "validation", "test")),
                    newest.get(task.name, "-"),
                    in_words(retired[task.name], task.name),
                )
                for task, dataset in found
            ],
        )
