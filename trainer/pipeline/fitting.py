"""Fitting routers: every kind on the same examples, and what the best of them does to held-out rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional

from registry import Expert, Registry
from registry.records import EvaluationFacts
from trainer import kinds
from trainer.dataset_features import inputs
from trainer.described import from_json, to_json
from trainer.familiarity import Fit, FitDesign, name_of, nearest, threshold
from trainer.fit_limits import COVERAGE
from trainer.generations import RouterDesign, layers_read
from trainer.inputs import words
from trainer.layouts import Architecture
from trainer.measuring import HELD_OUT
from trainer.pipeline.archive import Archive, Reading
from trainer.pipeline.routed_pool import RoutedPool
from trainer.routers import Examples, fit_once, read, routing_accuracy
from trainer.spans import spread
from trainer.sums import RidgeSums
from trainer.takers import Form, Takers
from trainer.tally import Tally, facts


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A router that is not on record yet, with its numbers."""

    pool: RoutedPool
    router: nn.Module
    fit: Fit
    design: RouterDesign
    candidates: dict[str, float]
    measured: list[EvaluationFacts]


class PoolExamples(Examples):
    """The rows of a split of every expert of a pool: read from the archive as far as a fit asks for them."""

    def __init__(self, archive: Archive, experts: Sequence[Expert], split: str, reading: Reading) -> None:
        self.archive, self.experts, self.split, self.reading = archive, list(experts), split, reading
        archive.look_up(experts, reading)
        counts = [archive.rows(expert).dataset.rows[split] for expert in experts]
        super().__init__(torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)))

    @cached_property
    def texts(self) -> Sequence[str]:
        """The texts, pairs and choices joined by line breaks."""
        pool = [self.archive.rows(expert) for expert in self.experts]
        return [text for rows in pool for text in words(inputs(rows.take(rows.places(self.split))))]

    @cached_property
    def states(self) -> Tensor:
        """The states, `(rows, layers, 2, hidden)`."""
        return torch.cat([self._states(expert) for expert in self.experts])

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the states of one row: `(layers, 2, hidden)`."""
        return tuple(self._states(self.experts[0]).shape[1:])

    def layer(self, place: int) -> Tensor:
        """The states of one layer, `(rows, 2, hidden)`; the others are not held in memory."""
        return torch.cat([self._states(expert)[:, place] for expert in self.experts])

    def sums(self) -> RidgeSums:
        """The sums over the states of each expert in turn: those of its training rows are kept."""
        if self.split != "train":
            return super().sums()
        return self._kept_sums

    @cached_property
    def _kept_sums(self) -> RidgeSums:
        return self.archive.sums(self.reading, self.experts)

    @cached_property
    def forms(self) -> list[Form]:
        """What each row consists of beside its text."""
        pool = [self.archive.rows(expert) for expert in self.experts]
        return spread((rows.form for rows in pool), [rows.dataset.rows[self.split] for rows in pool])

    @cached_property
    def paired(self) -> tuple[int, ...]:
        """Slots of the experts whose rows have a second text."""
        forms = (self.archive.rows(expert).form for expert in self.experts)
        return tuple(slot for slot, form in enumerate(forms) if form.pair)

    @cached_property
    def takers(self) -> Takers:
        """Which of the experts can take an input."""
        return Takers(self.experts, self.paired)

    def _states(self, expert: Expert) -> Tensor:
        return self.archive.split(self.reading, self.archive.rows(expert), self.split)


def fit(
    archive: Archive,
    modules: Mapping[str, ModuleType],
    chosen: Sequence[Expert],
    seed: int,
    passes: str,
    coverage: float = COVERAGE,
) -> Fitted:
    """Fit every kind; the one that does best on validation gets a threshold that covers so many of the known
    rows, and is measured on every held-out row."""
    reading = pool_reading(archive.registry, chosen, passes)
    training, validation = (
        PoolExamples(archive, chosen, split, reading) for split in ("train", "validation")
    )
    fitted = {
        name: fit_once(module, module.Config(), training, validation, len(chosen), seed, archive.on_progress)
        for name, module in modules.items()
    }
    judged = {name: _judge(modules[name].READS, router, validation) for name, router in fitted.items()}
    best = max(judged, key=lambda name: judged[name])
    design = RouterDesign(
        kind=best,
        kind_config=to_json(modules[best].Config()),
        layers=reading.layers if "states" in modules[best].READS else (),
        passes=passes,
        max_length=reading.max_length,
        paired=validation.paired,
    )
    found = _fit_score(modules[best].READS, fitted[best], training, validation, coverage)
    pool = RoutedPool(archive, chosen, fitted[best], design, found)
    return Fitted(
        pool=pool,
        router=fitted[best],
        fit=found,
        design=design,
        candidates={name: accuracy for name, (accuracy, _) in judged.items()},
        measured=_measure(pool),
    )


def pool_reading(registry: Registry, chosen: Sequence[Expert], passes: str) -> Reading:
    """What a router of states reads, and how much of a text: such that every expert of the pool can follow
    it."""
    plans = [from_json(Architecture, expert.config["architecture"]) for expert in chosen]
    depth = registry.base_model(chosen[0].base_model).layers
    layers = layers_read(depth, passes, min(plan.first_layer for plan in plans))
    return Reading(chosen[0].base_model, layers, max(plan.max_length for plan in plans))


def _fit_score(
    reads: Sequence[str], router: nn.Module, training: PoolExamples, validation: PoolExamples, coverage: float
) -> Fit:
    """How strange inputs are, from the training rows; and from where on no expert fits, from the validation
    rows."""
    kind = name_of(reads)
    score = kinds.load("familiarity", kind).fit(training, validation, len(training.experts))
    allowed = validation.takers.allowed(validation.forms)
    with torch.no_grad():
        features = read(validation, reads)
        scores = nearest(score, features, router(features), allowed)
    design = FitDesign(kind=kind, coverage=coverage, threshold=threshold(scores, coverage), rows=len(scores))
    return Fit(score, design)


def _judge(reads: Sequence[str], router: nn.Module, examples: PoolExamples) -> tuple[float, float]:
    """Routing accuracy, and the mean log-likelihood of the right slots, which decides between equals."""
    features = read(examples, reads)
    with torch.no_grad():
        routing = examples.takers.among(router(features), examples.forms)
        likelihood = -functional.cross_entropy(routing.logits[:, 0].double(), examples.slots).item()
    return routing_accuracy(routing, examples.slots), likelihood


def _measure(pool: RoutedPool) -> list[EvaluationFacts]:
    """Routing on every held-out row; where a row goes to its own expert, that expert's answer is on record
    already."""
    measured = []
    pool.ask_ahead(pool.experts)
    for split in HELD_OUT:
        tallies = []
        for expert in pool.experts:
            rows = pool.archive.rows(expert)
            places = rows.places(split)
            replies = pool.replies(rows, places)
            own = pool.archive.answers(expert, rows, places)
            tallies.append(
                Tally.of(
                    expert.task, expert.kind, replies.rows, replies.sent, replies.fits, replies.routed, own
                )
            )
        pool.archive.on_progress(f"measuring on {split}", 1, 1, "")
        measured += facts(tallies, split)
    return measured
