"""`retrain_router`: all experts, as they are, become the next router generation. No expert is touched."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional

from registry import ConflictError, Dataset, Expert, Generation, NotFoundError, Registry
from registry.errors import InvalidSettingError
from registry.records import Evaluation, EvaluationFacts
from trainer import generations, kinds
from trainer.base_model import BaseModel
from trainer.data import SPLITS, TaskData
from trainer.dataset_features import FeatureKey, answers_of, features_of, pairs, rows_of
from trainer.described import from_json, to_json
from trainer.experts import Architecture
from trainer.generations import PASSES, RouterDesign, joined, layers_read, parameter_count
from trainer.moe import MoE, fitting_base, thawed
from trainer.progress import Progress, silent
from trainer.routers import Examples, Features, routing_accuracy
from trainer.runs import Moment
from trainer.tally import Tally, facts, scores

AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class RetrainedRouter:
    """What came of `retrain_router`.

    Attributes:
        created: False when the newest generation already has these experts and settings.
        metrics: by split; `routing_accuracy`: share of rows sent to their own expert; `routed_accuracy`:
            share answered rightly by the expert the router chose; `oracle_accuracy`: by their own expert.
        per_task: the same by task, on test; candidates: validation routing accuracy of each router kind
            tried.
        confusion: of each task's test rows, how many went to which task.
    """

    generation: Generation
    created: bool
    metrics: dict[str, dict[str, float]]
    per_task: dict[str, dict[str, float]]
    candidates: dict[str, float]
    confusion: dict[str, dict[str, int]]
    seconds: float


@dataclass(frozen=True)
class Member:
    """One expert of the pool with its rows and their pooled features."""

    expert: Expert
    dataset: Dataset
    data: TaskData
    features: Tensor

    def places(self, split: str) -> list[int]:
        """Rows of one split."""
        return [place for place, row in enumerate(self.data.rows) if row.split == split]


def retrain_router(
    registry: Registry,
    *,
    router: str = AUTO,
    experts: Sequence[str] | None = None,
    seed: int = 0,
    passes: str = "one",
    promote: bool = True,
    device: str = "auto",
    on_progress: Progress = silent,
) -> RetrainedRouter:
    """Fit a router over the newest expert of each task, or over those named, and freeze it as the next
    generation.

    Reads cached features; the base model runs only for rows whose features or answers are not cached, and for
    test rows that the router sends to another expert.

    Args:
        router: a router kind, or `auto`: all kinds are fitted and validation picks.
        passes: `one` or `two`, see `trainer.generations.RouterDesign`.
        promote: let the alias `production` stand for the new generation.

    Raises:
        NotFoundError: no expert yet, or an unknown expert or router kind.
        ConflictError: experts of different base models, or two versions of one task.
    """
    started = Moment.now()
    if passes not in PASSES:
        raise InvalidSettingError(f"passes {passes!r} is unknown: choose one or two")
    wanted = kinds.names("routers") if router == AUTO else [router]
    modules = {name: kinds.load("routers", name) for name in wanted}
    chosen = _chosen(registry, experts)
    settings = {"router": router, "passes": passes, "seed": seed}
    newest = _same_as_newest(registry, chosen, settings)
    if newest is not None:
        if promote and not _was_promoted(registry, newest):
            registry.promote(newest.name, reason="retrain-router")
        return _result(newest, False, registry.evaluations(newest.name)[::-1], started)
    base = cache(lambda: fitting_base(registry, chosen[0].base_model, None, device, on_progress))
    layers, max_length = _reading(registry, chosen, passes)
    members = [_member(registry, base, expert, layers, max_length, on_progress) for expert in chosen]
    best, fitted, scores = _fit(modules, members, seed, on_progress)
    plan = RouterDesign(
        kind=best,
        kind_config=to_json(modules[best].Config()),
        layers=layers if modules[best].READS == "states" else (),
        passes=passes,
        max_length=max_length,
    )
    measured = _measure(registry, members, fitted, base, on_progress)
    generation = registry.add_generation(
        router=best,
        config={"router": to_json(plan), "settings": settings, "candidates": scores},
        base_model=chosen[0].base_model,
        experts=[expert.name for expert in chosen],
        parameters=parameter_count(fitted),
        payload=generations.pack(fitted, {"experts": [expert.sha256 for expert in chosen]}),
        run=started.run(kind="router", settings=settings, seed=seed, history=[]),
        evaluations=measured,
    )
    if promote:
        registry.promote(generation.name, reason="retrain-router")
    return _result(generation, True, measured, started)


def _fit(
    modules: Mapping[str, ModuleType], members: Sequence[Member], seed: int, on_progress: Progress
) -> tuple[str, nn.Module, dict[str, float]]:
    """Fit every kind; the one that does best on validation, and the validation routing accuracy of each."""
    training, validation = _examples(members, "train"), _examples(members, "validation")
    fitted = {
        name: module.fit(module.Config(), training, validation, len(members), seed, on_progress)
        for name, module in modules.items()
    }
    judged = {name: _judge(router, validation) for name, router in fitted.items()}
    best = max(judged, key=lambda name: judged[name])
    return best, fitted[best], {name: accuracy for name, (accuracy, _) in judged.items()}


def _chosen(registry: Registry, names: Sequence[str] | None) -> list[Expert]:
    found = registry.experts() if names is None else [registry.expert(name) for name in names]
    if not found:
        raise NotFoundError(
            "there is no expert to route to yet: add one with `registry add-task --data FILE`"
        )
    twice = [task for task, count in Counter(expert.task for expert in found).items() if count > 1]
    if twice:
        raise ConflictError(f"{twice[0]} is named more than once: a router takes one version of each task")
    bases = {expert.base_model for expert in found}
    if len(bases) > 1:
        each = ", ".join(
            f"{expert.name} on {registry.base_model(expert.base_model).name}" for expert in found
        )
        raise ConflictError(
            f"one router needs experts of one base model, these differ: {each}; name some with --expert"
        )
    return found


def _same_as_newest(
    registry: Registry, chosen: Sequence[Expert], settings: dict[str, object]
) -> Generation | None:
    known = registry.generations()
    if not known or known[-1].experts != tuple(expert.name for expert in chosen):
        return None
    return known[-1] if known[-1].config["settings"] == settings else None


def _was_promoted(registry: Registry, generation: Generation) -> bool:
    """Whether it has been in production: then a person who went back to another did so on purpose."""
    try:
        return generation.name in {move.target for move in registry.history()}
    except NotFoundError:
        return False


def _reading(registry: Registry, chosen: Sequence[Expert], passes: str) -> tuple[tuple[int, ...], int]:
    """The layers a router of states reads, and how much of a text: such that every expert of the pool can
    follow it."""
    plans = [from_json(Architecture, expert.config["architecture"]) for expert in chosen]
    depth = registry.base_model(chosen[0].base_model).layers
    first_layer = min(plan.first_layer for plan in plans)
    return layers_read(depth, passes, first_layer), max(plan.max_length for plan in plans)


def _member(
    registry: Registry,
    base: Callable[[], BaseModel],
    expert: Expert,
    layers: tuple[int, ...],
    max_length: int,
    on_progress: Progress,
) -> Member:
    dataset = registry.dataset(expert.task, expert.dataset)
    data = rows_of(registry, dataset, expert.kind)
    wanted = FeatureKey(expert.base_model, dataset.sha256, layers, max_length)
    return Member(expert, dataset, data, features_of(registry, base, wanted, data, on_progress))


def _examples(members: Sequence[Member], split: str) -> Examples:
    texts, states, slots = [], [], []
    for slot, member in enumerate(members):
        places = member.places(split)
        texts += joined(pairs([member.data.rows[place] for place in places]))
        states.append(member.features[places])
        slots += [slot] * len(places)
    return Examples(Features(torch.cat(states), texts), torch.tensor(slots))


def _judge(router: nn.Module, examples: Examples) -> tuple[float, float]:
    """Routing accuracy, and the mean log-likelihood of the right slots, which decides between equals."""
    with torch.no_grad():
        routing = router(examples.features)
        likelihood = -functional.cross_entropy(routing.logits[:, 0].double(), examples.slots).item()
    return routing_accuracy(routing, examples.slots), likelihood


def _measure(
    registry: Registry,
    members: Sequence[Member],
    router: nn.Module,
    base: Callable[[], BaseModel],
    on_progress: Progress,
) -> list[EvaluationFacts]:
    """Routing on every held-out row; where a row goes to its own expert, that expert's answer is on record
    already."""
    pool = cache(
        lambda: MoE(
            base(), [(one.expert, thawed(registry, base(), one.expert)) for one in members], None, None
        )
    )
    measured = []
    for split in SPLITS[1:]:
        tallies = [_tally(registry, members, slot, split, router, pool) for slot in range(len(members))]
        on_progress(f"measuring on {split}", 1, 1, "")
        measured += facts(tallies, split)
    return measured


def _tally(
    registry: Registry,
    members: Sequence[Member],
    slot: int,
    split: str,
    router: nn.Module,
    pool: Callable[[], MoE],
) -> Tally:
    member = members[slot]
    places = member.places(split)
    rows = [member.data.rows[place] for place in places]
    texts = pairs(rows)
    with torch.no_grad():
        slots = router(Features(member.features[places], joined(texts))).slots[:, 0].tolist()
    known = answers_of(registry, member.expert, member.dataset)
    if known is None:
        own = [one.label for one in pool().predict(texts, expert=member.expert.name)]
    else:
        own = [known[place] or "" for place in places]
    routed = list(own)
    for other in sorted({*slots} - {slot}):
        strays = [row for row, chosen in enumerate(slots) if chosen == other]
        answers = pool().predict([texts[row] for row in strays], expert=members[other].expert.name)
        for row, answer in zip(strays, answers, strict=True):
            routed[row] = answer.label
    target = kinds.load("tasks", member.expert.kind).TARGET
    sent = [members[chosen].expert.task for chosen in slots]
    return Tally.of(member.expert.task, [row.values[target] for row in rows], sent, routed, own)


def _result(
    generation: Generation,
    created: bool,
    measured: Sequence[Evaluation] | Sequence[EvaluationFacts],
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
        seconds=started.elapsed(),
    )
