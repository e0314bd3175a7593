"""`retrain_router`: all experts become the next generation of the router."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from registry import Job, Registry
from trainer import kinds
from trainer.progress import Progress
from trainer.selection import choose

if TYPE_CHECKING:
    from trainer.pipeline import RetrainedRouter


def submit(registry: Registry, *, experts: Sequence[str] | None = None, **options: Any) -> Job:
    """Ask for the next generation.

    Args:
        experts: which, by default the newest of each task when the work begins.
        options: as of `trainer.retrain_router`.

    Raises:
        NotFoundError: no expert yet, or an unknown expert or router kind.
    """
    if options.get("router", "auto") != "auto":
        kinds.check("routers", options["router"])
    chosen = choose(registry, experts)
    params = {"experts": None if experts is None else [expert.name for expert in chosen], **options}
    return registry.jobs.enqueue("retrain_router", params, exclusive_key="retrain_router")


def run(
    registry: Registry,
    job: Job,
    *,
    on_progress: Progress,
    finish: Callable[[dict[str, Any]], object],
    guard: Callable[[], object],
) -> None:
    """Fit the router, let the gate judge it, publish it."""
    from trainer.pipeline import retrain_router

    retrain_router(
        registry, **job.params, on_progress=on_progress, finish=lambda fitted: finish(document(fitted))
    )


def document(fitted: "RetrainedRouter") -> dict[str, Any]:
    """What `registry retrain-router --json` prints."""
