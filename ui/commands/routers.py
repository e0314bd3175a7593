"""`retrain-router` and `routers`."""

import click

from trainer.fit_limits import AUTO, COVERAGE, TOLERANCE
from ui.commands.jobs import finish
from ui.commands.options import detach_option, device_option
from ui.group import Finite, Session, common_options, page_options, pass_session


@click.command("retrain-router")
@click.option("--router", default=AUTO, show_default=True, help="Kind; auto fits several and picks.")
@click.option(
    "--expert",
    "experts",
    multiple=True,
    help="An expert to route to; repeat it [default: all but retired ones].",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@click.option("--two-pass", is_flag=True, help="Run the base model twice a text, as the paper does.")
@click.option(
    "--coverage",
    type=Finite(0, 1, min_open=True),
    metavar="SHARE",
    default=COVERAGE,
    show_default=True,
    help="Share of the rows of these tasks that are to be answered; to stranger ones no expert fits.",
)
@click.option(
    "--promote/--no-promote",
    default=None,
    help="Put it into production whatever the gate says, or leave it a candidate [default: ask the gate].",
)
@click.option(
    "--tolerance",
    type=Finite(0, 100),
    metavar="POINTS",
    default=TOLERANCE,
    show_default=True,
    help="Points of accuracy that a task may lose; a larger loss, unless chance explains it, is refused.",
)
@device_option
@detach_option
@common_options
@pass_session
def retrain_router(
    session: Session,
    *,
    router: str,
    experts: tuple[str, ...],
    seed: int,
    two_pass: bool,
    coverage: float,
    promote: bool | None,
    tolerance: float,
    device: str,
    detach: bool,
) -> None:
    """Fit a router over all experts that are not retired.

    The result is the next router generation, router@candidate. No expert is touched. It goes into production
    unless a task of the generation that is there now is shown to lose accuracy; exit code 6 when one is.
    """
    from trainer.jobs.retrain_router import submit

    with session.open() as registry:
        job = submit(
            registry,
            router=router,
            experts=experts or None,
            seed=seed,
            passes="two" if two_pass else "one",
            coverage=coverage,
            promote=promote,
            tolerance=tolerance,
            device=device,
        )
        finish(session, registry, job, detach=detach)


@click.command("routers")
@page_options("router@12")
@common_options
@pass_session
def routers(session: Session, limit: int | None, after: str | None) -> None:
    """List the router generations, oldest first."""
    from registry import measured
    from ui import present
    from ui.views.aliases import names_of

    with session.open() as registry:
        listed = registry.generations(limit=limit, after=after)
        together = measured.together(registry, [generation.number for generation in listed])
        aliases = names_of(registry.aliases())
    found = [(generation, together[generation.number]) for generation in listed]
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
