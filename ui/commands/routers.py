"""`retrain-router` and `routers`."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from ui.group import Session, common_options, pass_session

if TYPE_CHECKING:
    from registry.records import Alias
    from trainer.pipeline import RetrainedRouter


@click.command("retrain-router")
@click.option("--router", default="auto", show_default=True, help="Kind of router; auto fits all and picks.")
@click.option("--expert", "experts", multiple=True, help="An expert to route to; repeat it [default: all].")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@click.option("--two-pass", is_flag=True, help="Run the base model twice a text, as the paper does.")
@click.option("--no-promote", is_flag=True, help="Do not move the alias production to the new generation.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@common_options
@pass_session
def retrain_router(
    session: Session,
    *,
    router: str,
    experts: tuple[str, ...],
    seed: int,
    two_pass: bool,
    no_promote: bool,
    device: str,
) -> None:
    """Fit a router over all experts.

    The result is the next router generation. No expert is touched."""
    from trainer.pipeline import retrain_router as run
    from ui.progress import reporting

    with session.open() as registry, reporting() as report:
        fitted = run(
            registry,
            router=router,
            experts=experts or None,
            seed=seed,
            passes="two" if two_pass else "one",
            promote=not no_promote,
            device=device,
            on_progress=report,
        )
    if session.json:
        session.print_json(retrained_json(fitted))
    else:
        echo_retrained(fitted)


def retrained_json(fitted: "RetrainedRouter") -> dict[str, Any]:
    """What `retrain-router --json` prints."""
    return {
        "generation": fitted.generation.name,
        "router": fitted.generation.router,
        "created": fitted.created,
        "experts": list(fitted.generation.experts),
        "metrics": fitted.metrics,
        "per_task": fitted.per_task,
        "candidates": fitted.candidates,
        "confusion": fitted.confusion,
        "seconds": fitted.seconds,
    }


def echo_retrained(fitted: "RetrainedRouter") -> None:
    """The new generation as text, and the next command."""
    from ui import present

    generation = fitted.generation
    state = "is fitted" if fitted.created else "already covers these experts: nothing to do"
    click.echo(f"{generation.name} {state}: {generation.router} over {len(generation.experts)} experts.")
    present.echo_metrics(fitted.metrics)
    if len(fitted.candidates) > 1:
        scores = ", ".join(f"{kind} {present.number(score)}" for kind, score in fitted.candidates.items())
        click.echo(f"  candidates  {scores} (routing accuracy on validation)")
    click.echo(f"  seconds     {fitted.seconds:.1f}")
    present.next_step('registry predict "a text of any of the tasks"')


def names_of(aliases: Iterable["Alias"]) -> dict[str, list[str]]:
    """The names that point at each target."""
    found: dict[str, list[str]] = {}
    for alias in aliases:
        found.setdefault(alias.target, []).append(alias.ref)
    return found


@click.command("routers")
@common_options
@pass_session
def routers(session: Session) -> None:
    """List the router generations."""
    from ui import present

    with session.open() as registry:
        listed = registry.generations()
        measured = registry.evaluations_of([generation.name for generation in listed])
        aliases = names_of(registry.aliases())
    found = [(generation, present.overall(measured[generation.name])) for generation in listed]
    if session.json:
        session.print_json(
            [
                {
                    "generation": generation.name,
                    "router": generation.router,
                    "experts": list(generation.experts),
                    "parameters": generation.parameters,
                    "sha256": generation.sha256,
                    "metrics": metrics,
                    "aliases": aliases.get(generation.name, []),
                }
                for generation, metrics in found
            ]
        )
    elif not found:
        click.echo("No router generations yet. Fit one: registry retrain-router")
    else:
        present.echo_table(
            ("generation", "router", "experts", "parameters", "routing", "routed", "alias", "created"),
            [
                (
                    generation.name,
                    generation.router,
                    f"{len(generation.experts):,}",
                    f"{generation.parameters:,}",
                    present.number(metrics.get("test", {}).get("routing_accuracy")),
                    present.number(metrics.get("test", {}).get("routed_accuracy")),
                    ", ".join(aliases.get(generation.name, [])),
                    present.moment(generation.created_at),
                )
                for generation, metrics in found
            ],
        )
