"""Fitting routers: every kind on the same examples, and what the best of them does to held-out rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import nn
from torch.nn import functional

from registry import Expert, Registry
from registry.records import EvaluationFacts
from trainer.data import SPLITS
from trainer.dataset_features import pairs
from trainer.described import from_json, to_json
from trainer.generations import RouterDesign, joined, layers_read
from trainer.layouts import Architecture
from trainer.pipeline.archive import Archive
from trainer.pipeline.routed_pool import RoutedPool
from trainer.routers import Examples, Features, routing_accuracy
from trainer.tally import Tally, facts


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A router that is not on record yet, with its numbers."""

    pool: RoutedPool
    router: nn.Module
    design: RouterDesign
    candidates: dict[str, float]
    measured: list[EvaluationFacts]


def fit(
    archive: Archive, modules: Mapping[str, ModuleType], chosen: Sequence[Expert], seed: int, passes: str
) -> Fitted:
    """Fit every kind; the one that does best on validation is measured on every held-out row."""
    layers, max_length = _reading(archive.registry, chosen, passes)
    training, validation = (
        _examples(archive, chosen, split, layers, max_length) for split in ("train", "validation")
    )
    fitted = {
        name: module.fit(module.Config(), training, validation, len(chosen), seed, archive.on_progress)
        for name, module in modules.items()
    }
    judged = {name: _judge(router, validation) for name, router in fitted.items()}
    best = max(judged, key=lambda name: judged[name])
    design = RouterDesign(
        kind=best,
        kind_config=to_json(modules[best].Config()),
        layers=layers if modules[best].READS == "states" else (),
        passes=passes,
        max_length=max_length,
    )
    pool = RoutedPool(archive, chosen, fitted[best], design)
    return Fitted(
        pool=pool,
        router=fitted[best],
        design=design,
        candidates={name: accuracy for name, (accuracy, _) in judged.items()},
        measured=_measure(pool),
    )


def _reading(registry: Registry, chosen: Sequence[Expert], passes: str) -> tuple[tuple[int, ...], int]:
    """The layers a router of states reads, and how much of a text: such that every expert of the pool can
    follow it."""
    plans = [from_json(Architecture, expert.config["architecture"]) for expert in chosen]
    depth = registry.base_model(chosen[0].base_model).layers
    first_layer = min(plan.first_layer for plan in plans)
    return layers_read(depth, passes, first_layer), max(plan.max_length for plan in plans)


def _examples(
    archive: Archive, chosen: Sequence[Expert], split: str, layers: tuple[int, ...], max_length: int
) -> Examples:
    texts, states, slots = [], [], []
    for slot, expert in enumerate(chosen):
        rows = archive.rows(expert)
        places = rows.places(split)
        texts += joined(pairs(rows.take(places)))
        states.append(archive.features(expert.base_model, rows, layers, max_length)[places])
        slots += [slot] * len(places)
    return Examples(Features(torch.cat(states), texts), torch.tensor(slots))


def _judge(router: nn.Module, examples: Examples) -> tuple[float, float]:
    """Routing accuracy, and the mean log-likelihood of the right slots, which decides between equals."""
    with torch.no_grad():
        routing = router(examples.features)
        likelihood = -functional.cross_entropy(routing.logits[:, 0].double(), examples.slots).item()
    return routing_accuracy(routing, examples.slots), likelihood


def _measure(pool: RoutedPool) -> list[EvaluationFacts]:
    """Routing on every held-out row; where a row goes to its own expert, that expert's answer is on record
    already."""
    measured = []
    for split in SPLITS[1:]:
        tallies = []
        for expert in pool.experts:
            rows = pool.archive.rows(expert)
            places = rows.places(split)
            replies = pool.replies(rows, places)
            own = pool.archive.answers(expert, rows, places)
            tallies.append(Tally.of(expert.task, replies.truth, replies.sent, replies.routed, own))
        pool.archive.on_progress(f"measuring on {split}", 1, 1, "")
        measured += facts(tallies, split)
    return measured
