"""`experts`: what the registry holds."""

from typing import TYPE_CHECKING, Any

import click

from ui.group import Session, common_options, page_options, pass_session

if TYPE_CHECKING:
    from registry import Expert


@click.command("experts")
@click.option("--task", help="Only the experts of this task.")
@click.option("--all", "all_versions", is_flag=True, help="Every version, not only the newest of each task.")
@page_options("sst2@3")
@common_options
@pass_session
def experts(
    session: Session, task: str | None, all_versions: bool, limit: int | None, after: str | None
) -> None:
    """List the experts."""
    from ui import present
    from ui.views.retirements import document, in_words

    with session.open() as registry:
        listed = registry.experts(task, all_versions=all_versions, limit=limit, after=after)
        measured = registry.evaluations_of([expert.name for expert in listed])
        gone = registry.retirements.now()
    retired = {expert.name: document(gone, expert.name) for expert in listed}
    found = [(expert, present.metrics(measured[expert.name])) for expert in listed]
    if session.json:
        session.print_json([_document(expert, metrics, retired[expert.name]) for expert, metrics in found])
    elif not found:
        click.echo("No experts yet. Add one: registry add-task --data examples/sentiment.csv")
    else:
        present.echo_table(
            ("expert", "kind", "adapter", "parameters", "validation", "test", "created", "retired"),
            [
                (
                    expert.name,
                    expert.kind,
                    expert.adapter,
                    f"{expert.parameters:,}",
                    present.headline(metrics, "validation"),
                    present.headline(metrics, "test"),
                    present.moment(expert.created_at),
                    in_words(retired[expert.name], expert.name),
                )
                for expert, metrics in found
            ],
        )


def _document(
    expert: "Expert", metrics: dict[str, dict[str, float]], retired: dict[str, Any] | None
) -> dict[str, Any]:
    """What `experts --json` prints of one."""
    return {
        "expert": expert.name,
        "task": expert.task,
        "version": expert.version,
        "kind": expert.kind,
        "adapter": expert.adapter,
        "parameters": expert.parameters,
        "sha256": expert.sha256,
        "metrics": metrics,
        "retired": retired,
    }
