"""What a job has made, as text: one function for each job kind with something to say beyond its fields."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ui import gates, present
from ui.group import GATE_REFUSED, Session

if TYPE_CHECKING:
    from registry import Job, Registry


def show(session: Session, registry: "Registry", job: "Job") -> None:
    """Prints the result of a job that is done."""
    result = job.result or {}
    if session.json:
        session.print_json(result)
    else:
        ECHO.get(job.kind, _echo_any)(registry, result)
    leave_if_refused(result)


def _echo_any(_registry: "Registry", result: dict[str, Any]) -> None:
    present.echo_fields({name: present.value(value) for name, value in result.items()})


def echo_added(registry: "Registry", added: dict[str, Any]) -> None:
    """The new expert, what was noticed in its rows, and the next command."""
    _echo_expert(registry, added)
    present.next_step("registry retrain-router")


def _echo_expert(registry: "Registry", added: dict[str, Any]) -> None:
    expert = registry.expert(added["expert"])
    for finding in added["findings"]:
        click.echo(f"Note: {present.plain(finding)}", err=True)
    if not added["created"]:
        click.echo(f"Nothing to do: these rows with these settings are {expert.name}.")
    else:
        click.echo(f"{expert.name} is frozen.")
    present.echo_fields(
        {
            "kind": expert.kind,
            **({"labels": ", ".join(expert.labels)} if expert.labels else {}),
            "rows": ", ".join(f"{split} {count:,}" for split, count in present.rows(added["rows"]).items()),
            "parameters": f"{expert.parameters:,} ({present.size(expert.bytes)})",
            "sha256": expert.sha256,
            "seconds": f"{added['seconds']:.1f}",
        }
    )
    present.echo_metrics(added["metrics"])


def echo_adapted(registry: "Registry", adapted: dict[str, Any]) -> None:
    """The new expert, what it was combined from and how well that tells the rows, and the next command."""
    _echo_expert(registry, adapted)
    weights = adapted["combined_from"]
    given = ", ".join(f"{name} x {weight:g}" for name, weight in weights.items())
    [(metric, score)] = adapted["left_out"].items()
    [alone] = adapted["base_alone"].values()
    present.echo_fields(
        {
            "combined from": given or "no expert: none told more than the base model alone",
            f"{metric}, each row left out": f"{score:.3f} (base model alone {alone:.3f})",
            "combinations tried": f"{adapted['tried']}",
            "rank": f"{adapted['rank']} (rounding loses {adapted['rounding_error']:.1e} of the update)",
        }
    )
    present.next_step("registry retrain-router")


def echo_all_added(registry: "Registry", result: dict[str, Any]) -> None:
    """Every new expert, and the next command."""
    for added in result["added"]:
        _echo_expert(registry, added)
    present.next_step("registry retrain-router")


def echo_retrained(_registry: "Registry", fitted: dict[str, Any]) -> None:
    """The new generation, who lost what by it, and the next command."""
    state = "is fitted" if fitted["created"] else "covers these experts already, nothing to fit"
    name, experts = fitted["generation"], len(fitted["experts"])
    click.echo(f"{name} {state}: {fitted['router']} over {experts} experts.")
    if fitted.get("left_out"):  # Jobs of earlier releases do not say.
        click.echo(f"  left out    {', '.join(fitted['left_out'])}, since retired")
    present.echo_metrics(fitted["metrics"])
    if len(fitted["candidates"]) > 1:
        scores = ", ".join(f"{kind} {present.number(score)}" for kind, score in fitted["candidates"].items())
        click.echo(f"  candidates  {scores} (routing accuracy on validation)")
    if fitted.get("fit"):
        click.echo(f"  no expert fits  {_fit(fitted['fit'])}")
    click.echo(f"  seconds     {fitted['seconds']:.1f}")
    if fitted["gate"] is not None:
        gates.echo(fitted["gate"])
    if not fitted["refused"]:
        _echo_standing(name, in_production=fitted["promoted"])


def _echo_standing(name: str, *, in_production: bool) -> None:
    """Whether a generation answers now, and the next command."""
    if in_production:
        click.echo(f"router@production is {name}.")
        present.next_step('registry predict "a text of any of the tasks"')
    else:
        click.echo(f"{name} is not in production.")
        present.next_step(f"registry promote {name}")


def echo_mixed(registry: "Registry", made: dict[str, Any]) -> None:
    """The new generation, what it mixes and how well, and the next command."""
    for finding in made["findings"]:
        click.echo(f"Note: {present.plain(finding)}", err=True)
    name = made["generation"]
    if made["created"]:
        click.echo(f"{name} is trained: {made['router']} over {len(made['experts'])} experts.")
    else:
        click.echo(f"Nothing to do: these experts, rows and settings are {name}.")
    came_from = "as they were" if made["frozen"] else f"after {', '.join(made['came_from'])}"
    present.echo_fields(
        {
            "experts": f"{', '.join(made['experts'])} ({came_from})",
            "rows": ", ".join(f"{split} {count:,}" for split, count in present.rows(made["rows"]).items()),
            "epochs": f"{len(made['history'])}",
            "seconds": f"{made['seconds']:.1f}",
        }
    )
    present.echo_metrics(made["metrics"])
    aliases = {alias.ref: alias.target for alias in registry.aliases()}
    _echo_standing(name, in_production=aliases.get("router@production") == name)


def _fit(fit: dict[str, Any]) -> str:
    if fit["threshold"] is None:
        return f"never: {fit['rows']:,} validation rows are too few for a coverage of {fit['coverage']:g}"
    return f"above {present.number(fit['threshold'])}, for a coverage of {fit['coverage']:g}"


def leave_if_refused(fitted: dict[str, Any]) -> None:
    """Ends the process with the gate's exit code if the gate kept the generation out of production."""
    if fitted.get("refused"):
        name = fitted["generation"]
        click.echo(
            f"Error: the gate refused {name}, which stays a candidate; "
            f"put it into production all the same: registry promote {name}",
            err=True,
        )
        click.get_current_context().exit(GATE_REFUSED)


def echo_report(_registry: "Registry", report: dict[str, Any]) -> None:
    """Metrics, and for a generation the table by task."""
    click.echo(f"{report['subject']} on {report['examples']:,} rows of {report['split'] or 'the file'}")
    metrics = report["metrics"].items()
    present.echo_fields({name.replace("_", " "): present.number(value) for name, value in metrics})
    if report["per_task"]:
        present.echo_table(
            ["task", "score", "routing accuracy", "routed", "oracle", "coverage"],
            [_of_task(task, row) for task, row in report["per_task"].items()],
        )


def _of_task(task: str, row: dict[str, float]) -> list[str]:
    from trainer.tally import COVERAGE, ROUTING, headlines

    score, routed, oracle = headlines(row)
    figures = (present.number(value) for value in (row[ROUTING], routed, oracle, row.get(COVERAGE)))
    return [task, score.replace("_", " "), *figures]


ECHO: dict[str, Callable[["Registry", dict[str, Any]], None]] = {
    "adapt": echo_adapted,
    "add_task": echo_added,
    "add_tasks": echo_all_added,
    "evaluate": echo_report,
    "retrain_router": echo_retrained,
    "train_mixture": echo_mixed,
}
