"""`retrain_router`: all experts become the next generation of the router."""

from collections.abc import Callable, Sequence
from typing import Any

from registry import Job, Registry
from registry.aliases import user
from trainer.fit_limits import check_fit
from trainer.progress import Progress
from trainer.selection import choose


def submit(
    registry: Registry, *, experts: Sequence[str] | None = None, actor: str | None = None, **options: Any
) -> Job:
    """Ask for the next generation.

    Args:
        experts: which, by default the newest of each task that is not retired when the work begins.
        actor: who is on record for the moves of the aliases; by default who asks, whoever runs the worker.
        options: as of `trainer.retrain_router`.

    Raises:
        NotFoundError: no expert yet, or an unknown expert or router kind.
        InvalidSettingError: what `trainer.fit_limits.check_fit` refuses.
    """
    check_fit(**options)
    chosen = choose(registry, experts).experts
    params = {
        "experts": None if experts is None else [expert.name for expert in chosen],
        "actor": actor or user(),
        **options,
    }
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
        registry, **job.params, on_progress=on_progress, finish=lambda fitted: finish(fitted.as_json())
    )
