"""Which experts, added up with which weights, tell the answers to a few rows best.

Updates of a form that adds up lie side by side, each with its weight, so that a try runs what the combined
expert would run, and only from the first adapted layer on. A try is judged by the head that is solved for its
final states, each row left out in turn: nothing is learned by gradients, and nothing is random.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import ModuleType

import torch
from torch import Tensor

from trainer.adapters import tt_lora
from trainer.blocks import Blocks, words
from trainer.data import Row
from trainer.encoding import EVALUATION_BATCH, Encoding, by_length
from trainer.experts import Alone
from trainer.forms import Parts
from trainer.layouts import Architecture, Layout, config_of, form_parts
from trainer.progress import Progress
from trainer.solving import Solution, solve
from trainer.visitors import LAST, MEAN, Watching

Update = Mapping[tuple[int, str], Parts]
"""What an expert's adapter runs with, by layer and name of the linear layer."""


@dataclass(frozen=True)
class Parent:
    """An expert that may be combined.

    Attributes:
        update: of its adapter; head: the weight of its head, where it has one.
    """

    update: Update
    head: Blocks | None


GAIN = 0.2
"""Share of the loss by which one more expert, or another weight, has to make it smaller."""
MOST = 3
"""Experts in one combination."""
BROAD = 2
"""Of the experts that tell most alone, how many are tried as one more."""
WEIGHTS = (1.0, 0.5)
"""With which an expert is added to others."""
FACTORS = (0.5,)
"""By which a weight is then changed."""


@dataclass(frozen=True)
class Try:
    """One combination, tried.

    Attributes:
        weights: by expert; none for the bare base model.
        reading: the layer whose entering states tell most, and which of them pooled.
        solution: of a head that reads those, and then what the heads of the experts say.
        score: what the rows left out score, by the metric that counts.
    """

    weights: dict[str, float]
    reading: tuple[int, int]
    solution: Solution
    score: float

    @property
    def loss(self) -> float:
        """Of the rows left out."""
        return self.solution.loss


class Search:
    """Tries combinations on some rows of one encoding.

    Args:
        places: the rows to judge by, and `rows` what they say.
        parent: an expert, by its name.
        first_layer: the first that experts change.
        budget: how many combinations may be tried.
    """

    def __init__(
        self,
        kind: ModuleType,
        labels: Sequence[str],
        encoding: Encoding,
        places: Sequence[int],
        rows: Sequence[Row],
        parent: Callable[[str], Parent],
        first_layer: int,
        budget: int,
        on_progress: Progress,
    ) -> None:
        self._kind, self._labels, self._encoding = kind, labels, encoding
        self._places, self._rows, self._parent = list(places), list(rows), parent
        self._budget, self._on_progress = budget, on_progress
        self._layers = deep_layers(encoding.base.layers, first_layer)
        self._tried: dict[tuple[tuple[str, float], ...], Try] = {}

    @property
    def tried(self) -> int:
        """How many combinations were tried."""
        return len(self._tried)

    def run(self, names: Sequence[str]) -> Try:
        """The bare base model, each expert alone, then greedily more of them and other weights."""
        self.bare()
        alone = [one for name in names if (one := self._try({name: 1.0})) is not None]
        ranked = [next(iter(one.weights)) for one in sorted(alone, key=lambda one: one.loss)]
        best = min([self.bare(), *alone], key=lambda one: one.loss)
        while True:
            tried = [self._try(weights) for weights in _further(best.weights, ranked)]
            found = [one for one in tried if one is not None]
            better = min(found, key=lambda one: one.loss, default=best)
            if better.loss >= (1 - GAIN) * best.loss:
                return best
            best = better

    def bare(self) -> Try:
        """The base model without any expert; always tried."""
        return self._tried.get(()) or self._judged({}, {})

    def judge(self, weights: Mapping[str, float], update: Update) -> Try:
        """A combination as it became: `update` in place of the sum."""
        states = pooled_states(self._encoding, self._places, update, self._layers)
        heard = [words(head, states) for head in self._heads(weights)]
        found = []
        for layer, pooling in product(self._layers, (MEAN, LAST)):
            own = states[layer][:, pooling]
            spoken = torch.cat(heard, 1) if heard else None
            solution = solve(self._kind, own, self._rows, self._labels, spoken)
            found.append(Try(dict(weights), (layer, pooling), solution, self._score(solution)))
        return min(found, key=lambda one: one.loss)

    def head(self, found: Try) -> Blocks:
        """What a try's head weighs, what it takes from the heads of the experts among it."""
        weight, heads = found.solution.head.get_parameter("weight"), self._heads(found.weights)
        own, *shares = weight.split([self._encoding.base.hidden, *map(_outputs, heads)], 1)
        blocks = {found.reading: own}
        for head, share in zip(heads, shares, strict=True):
            for place, block in head.items() if share.any() else ():
                blocks[place] = blocks.get(place, 0) + share @ block
        return blocks

    def _heads(self, weights: Iterable[str]) -> list[Blocks]:
        """The heads of some experts, where they read what is looked at here."""
        heads = [self._parent(name).head for name in weights]
        return [
            head for head in heads if head is not None and {layer for layer, _ in head} <= {*self._layers}
        ]

    def _try(self, weights: dict[str, float]) -> Try | None:
        """None once as much was tried as may be."""
        known = self._tried.get(_key(weights))
        if known is not None or self.tried >= self._budget:
            return known
        return self._judged(
            weights, add_up([self._parent(name).update for name in weights], [*weights.values()])
        )

    def _judged(self, weights: dict[str, float], update: Update) -> Try:
        found = self._tried[_key(weights)] = self.judge(weights, update)
        best = min(self._tried.values(), key=lambda one: one.loss)
        note = f"best: {said(best.weights)}, {self._kind.METRIC} {best.score:.3f} with each row left out"
        self._on_progress("trying experts", self.tried, self._budget, note)
        return found

    def _score(self, solution: Solution) -> float:
        inputs = [row.input for row in self._rows]
        given = self._kind.answers(solution.head, solution.left_out, self._labels, inputs)
        return float(self._kind.metrics([one.label for one in given], self._rows)[self._kind.METRIC])


def said(weights: Mapping[str, float]) -> str:
    """A combination in words."""
    if not weights:
        return "the base model alone"
    return " + ".join(name if weight == 1 else f"{weight:g} {name}" for name, weight in weights.items())


def add_up(updates: Sequence[Update], weights: Sequence[float]) -> Update:
    """The weighted sum of several updates, exactly."""
    from trainer.forms import low_rank

    found = {}
    for place in sorted({place for update in updates for place in update}):
        own = [(update[place], w) for update, w in zip(updates, weights, strict=True) if place in update]
        found[place] = low_rank.combine(*zip(*own, strict=True))
    return found


def deep_layers(layers: int, first_layer: int) -> tuple[int, ...]:
    """The layers whose entering states are looked at, the last standing for the final states. What a few rows
    are about is often plainer half-way up: there the model does not yet prepare the next word."""
    return tuple(sorted({round(first_layer + (layers - first_layer) * share / 4) for share in range(1, 5)}))


@torch.no_grad()
def pooled_states(
    encoding: Encoding, places: Sequence[int], update: Update, layers: Sequence[int]
) -> dict[int, Tensor]:
    """Pooled states `(rows, 2, hidden)` that enter some layers, of some rows, with an update at work."""
    from trainer.forms import low_rank

    found = torch.zeros(len(places), len(layers), 2, encoding.base.hidden)
    sizes = [encoding.sizes[place] for place in places]
    for own in by_length(sizes, EVALUATION_BATCH):
        watching = Watching(layers, Alone(low_rank, update))
        _, batch = encoding.final([places[one] for one in own], watching)
        found[own] = watching.pooled(layers, batch.mask).float().cpu()
    return dict(zip(layers, found.unbind(1), strict=True))


def rounded(
    architecture: Architecture, own: Sequence[Layout], update: Update
) -> tuple[dict[str, Tensor], float]:
    """The cores nearest to an update, named as in an expert's file, and how far off they are: the norm of
    what is lost as a share of the whole."""
    config, lost, whole = config_of(architecture), 0.0, 0.0
    values: dict[str, Tensor] = {}
    for layout in own:
        parts = _stacked(layout, update)
        cores = tt_lora.values(config, layout.inputs, layout.outputs, parts)
        values |= {layout.file_name(name): core for name, core in cores.items()}
        found = form_parts(architecture, layout, values)
        wanted, given = (each["a"] @ each["b"] for each in (parts, found))
        lost += (wanted - given).square().sum().item()
        whole += wanted.square().sum().item()
    return values, (lost / whole) ** 0.5 if whole else 0.0


def _stacked(layout: Layout, update: Update) -> Parts:
    """An update at the linear layers of one name, `(layers, ...)`; zeros where it has none."""
    places = [(layout.first + layer, layout.module) for layer in range(layout.layers)]
    rank = max([update[place]["a"].shape[-1] for place in places if place in update], default=1)
    a = torch.zeros(layout.layers, layout.inputs, rank)
    b = torch.zeros(layout.layers, rank, layout.outputs)
    for layer, place in enumerate(places):
        if place in update:
            own = update[place]["a"].shape[-1]
            a[layer, :, :own], b[layer, :own] = update[place]["a"], update[place]["b"]
    return {"a": a, "b": b}


def _further(weights: dict[str, float], ranked: Sequence[str]) -> Iterator[dict[str, float]]:
    """What to try next: one more of the best experts, then other weights of those that are there."""
    if len(weights) < MOST:
        others = [name for name in ranked if name not in weights]
        for name in others[:BROAD]:
            for weight in WEIGHTS:
                yield weights | {name: weight}
    for name, weight in weights.items():
        for factor in FACTORS:
            yield weights | {name: weight * factor}


def _outputs(head: Blocks) -> int:
    return len(next(iter(head.values())))


def _key(weights: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(weights.items()))
