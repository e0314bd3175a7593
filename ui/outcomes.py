"""What a job has made, as text: one function for each job kind with something to say beyond its fields."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ui import present
from ui.group import Session

if TYPE_CHECKING:
    from registry import Job, Registry


def show(session: Session, registry: "Registry", job: "Job") -> None:
    """Prints the result of a job that is done."""
    result = job.result or {}
    if session.json:
        session.print_json(result)
    else:
        ECHO.get(job.kind, lambda _, fields: present.echo_fields(fields))(registry, result)


def echo_added(registry: "Registry", added: dict[str, Any]) -> None:
    """The new expert, what was noticed in its rows, and the next command."""
    expert = registry.expert(added["expert"])
    for finding in added["findings"]:
        click.echo(f"Note: {present.plain(finding)}", err=True)
    if not added["created"]:
        click.echo(f"Nothing to do: these rows with these settings are {expert.name}.")
    else:
        click.echo(f"{expert.name} is frozen.")
    present.echo_fields(
        {
            "labels": ", ".join(expert.labels),
            "rows": ", ".join(f"{split} {count:,}" for split, count in present.rows(added["rows"]).items()),
            "parameters": f"{expert.parameters:,} ({present.size(expert.bytes)})",
            "sha256": expert.sha256,
            "seconds": f"{added['seconds']:.1f}",
        }
    )
    present.echo_metrics(added["metrics"])
    present.next_step("registry retrain-router")


ECHO: dict[str, Callable[["Registry", dict[str, Any]], None]] = {"add_task": echo_added}
