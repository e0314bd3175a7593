"""`retrain_router`: all experts, as they are, become the next router generation. No expert is touched."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from registry import Expert, Generation, Registry
from registry.faults import fault
from registry.records import Evaluation, EvaluationFacts
from trainer import generations, kinds
from trainer.described import to_json
from trainer.fit_limits import AUTO, COVERAGE, TOLERANCE, check_fit
from trainer.generations import parameter_count
from trainer.pipeline.archive import Archive
from trainer.pipeline.fitting import Fitted, fit
from trainer.pipeline.gate import Gate, compare
from trainer.pipeline.promoting import Promotion, Settled, in_production
from trainer.pipeline.routed_pool import RoutedPool
from trainer.progress import Progress, silent
from trainer.runs import Moment
from trainer.selection import Choice, choose
from trainer.tally import scores


@dataclass(frozen=True, kw_only=True)
class RetrainedRouter:
    """What came of `retrain_router`.

    Attributes:
        created: False when the newest generation already has these experts and settings, and was chosen among
            the same router kinds.
        metrics: by split; `routing_accuracy`: share of rows sent to their own expert; `routed_accuracy`:
            share answered rightly by the expert the router chose; `oracle_accuracy`: by their own expert;
            `coverage`: share that some expert fits.
        per_task: the same by task, on test; candidates: validation routing accuracy of each router kind
            tried.
        confusion: of each task's test rows, how many went to which task.
        promoted: whether the alias `production` now stands for it.
        refused: whether it was to be promoted if the gate let it, and the gate did not.
        gate: how it compares with what was in production; None if nobody ever asked.
        left_out: the newest experts of their tasks that are not in it, since they are retired.
    """

    generation: Generation
    created: bool
    metrics: dict[str, dict[str, float]]
    per_task: dict[str, dict[str, float]]
    candidates: dict[str, float]
    confusion: dict[str, dict[str, int]]
    promoted: bool
    refused: bool
    gate: Gate | None
    left_out: tuple[str, ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "generation": self.generation.name,
            "router": self.generation.router,
            "fit": self.generation.config.get("fit"),
            "created": self.created,
            "experts": list(self.generation.experts),
            "metrics": self.metrics,
            "per_task": self.per_task,
            "candidates": self.candidates,
            "confusion": self.confusion,
            "promoted": self.promoted,
            "refused": self.refused,
            "gate": None if self.gate is None else self.gate.as_json(),
            "left_out": list(self.left_out),
            "seconds": self.seconds,
        }


def retrain_router(
    registry: Registry,
    *,
    router: str = AUTO,
    experts: Sequence[str] | None = None,
    seed: int = 0,
    passes: str = "one",
    coverage: float = COVERAGE,
    promote: bool | None = None,
    tolerance: float = TOLERANCE,
    actor: str | None = None,
    device: str = "auto",
    on_progress: Progress = silent,
    finish: Callable[[RetrainedRouter], object] = lambda made: None,
) -> RetrainedRouter:
    """Fit a router over the newest expert of each task that is not retired, or over those named, and freeze
    it as the next generation, `router@candidate`. It goes into production when the promotion gate lets it.

    Reads cached features; the base model runs only for rows whose features or answers are not cached, and for
    held-out rows that a router sends to another expert.

    Args:
        router: a router kind, or `auto`: every kind that says so is fitted, and validation picks.
        passes: `one` or `two`, see `trainer.generations.RouterDesign`.
        coverage: share of the rows of these tasks that is to be answered; stranger ones are not, unless asked
            for. See `trainer.familiarity`.
        promote: None: if the gate passes, see `trainer.pipeline.gate`; True: whatever the gate says, which is
            recorded; False: not.
        tolerance: points of accuracy that a task may lose against the generation in production.
        actor: who is on record for the moves of the aliases; by default the user of this process.
        finish: called in the transaction that publishes the generation; when it raises, nothing is published.

    Raises:
        NotFoundError: no expert yet, or an unknown expert or router kind.
        ConflictError: experts of different base models, or two versions of one task.
    """
    started = Moment.now()
    check_fit(router=router, passes=passes, coverage=coverage, tolerance=tolerance)
    modules = _modules(router)
    chosen = choose(registry, experts)
    settings = {"router": router, "passes": passes, "seed": seed, "coverage": coverage}
    archive = Archive(registry, device, on_progress)
    promotion = Promotion(registry, promote, tolerance, actor)
    newest = _same_as_newest(registry, chosen.experts, settings, modules)
    if newest is not None:
        return _nothing_to_do(archive, newest, chosen, promotion, started, finish)
    fitted = fit(archive, modules, chosen.experts, seed, passes, coverage)
    gate = compare(fitted.pool, in_production(registry), tolerance)
    archive.keep_strays(chosen.experts[0].base_model)
    with registry.transaction():
        generation = _publish(registry, fitted, settings, started)
        settled = promotion.settle(generation, gate)
        made = _result(generation, True, fitted.measured, chosen, settled, started)
        finish(made)
    fault("promote.committed")
    return made


def _modules(router: str) -> dict[str, ModuleType]:
    """The kinds to fit."""
    if router != AUTO:
        return {router: kinds.load("routers", router)}
    every = kinds.load_all("routers").items()
    return {name: module for name, module in every if getattr(module, "AUTO", False)}


def _nothing_to_do(
    archive: Archive,
    newest: Generation,
    chosen: Choice,
    promotion: Promotion,
    started: Moment,
    finish: Callable[[RetrainedRouter], object],
) -> RetrainedRouter:
    """No new generation; but the newest may still have to face the gate."""
    registry, gate = archive.registry, None
    if promotion.is_open(newest):
        gate = compare(RoutedPool.frozen(archive, newest), in_production(registry), promotion.tolerance)
    measured = registry.evaluations(newest.name)[::-1]
    with registry.transaction():
        settled = promotion.as_it_was(newest) if gate is None else promotion.settle(newest, gate)
        found = _result(newest, False, measured, chosen, settled, started)
        finish(found)
    fault("promote.committed")
    return found


def _publish(registry: Registry, fitted: Fitted, settings: dict[str, Any], started: Moment) -> Generation:
    experts = fitted.pool.experts
    return registry.add_generation(
        router=fitted.design.kind,
        config={
            "router": to_json(fitted.design),
            "fit": to_json(fitted.fit.design),
            "settings": settings,
            "candidates": fitted.candidates,
        },
        base_model=experts[0].base_model,
        experts=[expert.name for expert in experts],
        parameters=parameter_count(fitted.router),
        payload=generations.pack(
            fitted.router, {"experts": [expert.sha256 for expert in experts]}, fitted.fit
        ),
        run=started.run(kind="router", settings=settings, seed=settings["seed"], history=[]),
        evaluations=fitted.measured,
    )


def _same_as_newest(
    registry: Registry, chosen: Sequence[Expert], settings: dict[str, Any], tried: Collection[str]
) -> Generation | None:
    """The newest generation, where fitting these kinds anew would give it again."""
    known = registry.generations()
    if not known or known[-1].experts != tuple(expert.name for expert in chosen):
        return None
    config = known[-1].config
    same = config["settings"] == settings and {*config["candidates"]} == {*tried}
    return known[-1] if same else None


def _result(
    generation: Generation,
    created: bool,
    measured: Sequence[Evaluation] | Sequence[EvaluationFacts],
    chosen: Choice,
    settled: Settled,
    started: Moment,
) -> RetrainedRouter:
    found = scores(measured)
    return RetrainedRouter(
        generation=generation,
        created=created,
        metrics=found.metrics,
        per_task=found.per_task,
        candidates=generation.config["candidates"],
        confusion=found.confusion,
        promoted=settled.promoted,
        refused=settled.refused,
        gate=settled.gate,
        left_out=tuple(expert.name for expert in chosen.left_out),
        seconds=started.elapsed(),
    )
