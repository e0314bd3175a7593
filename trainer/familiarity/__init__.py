"""How strange an input is to the tasks of a pool, and from where on no expert fits.

A score is fitted with every router, and frozen with it. Its threshold is a conformal one: of the scores of
the held-out validation rows of all tasks, the smallest under which lies the share that is to be covered. A
new row of these tasks is then covered with at least that probability, whatever the score is, as long as it
comes from where the held-out rows come from (split conformal prediction, arXiv 2107.07511).

Kinds of scores, one module each, named after what routers read: a router has the score called
after its `READS`, joined by `_and_`. The contract, held by `tests/trainer/familiarity/test_contract.py`:

- `Score(shape, slots)`: an `nn.Module` for features of shape `(layers, 2, hidden)` and `slots` experts. Its
  `state_dict` is all that is frozen.
- `forward(features, routing) -> Tensor`: how strange each input is to the task of each slot,
  `(batch, slots)`: finite, and the larger the stranger; `routing`: what the router made of the same features.
  Padding and batch never matter. It runs on the CPU, wherever the features are.
- `fit(training, validation, slots) -> Score`: from the training rows; validation rows may tell how much
  distances vary.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from trainer.routers import Features, Routing


@dataclass(frozen=True, kw_only=True)
class FitDesign:
    """What a generation says of its score; stored whole with it.

    Attributes:
        kind: of the score.
        coverage: the share of known rows that is to be answered.
        threshold: score above which no expert fits; None: with so few held-out rows none can be told.
        rows: held-out rows that it was fitted on.
    """

    kind: str
    coverage: float
    threshold: float | None
    rows: int


def name_of(reads: Sequence[str]) -> str:
    """The kind of score of a router with these `READS`."""
    return "_and_".join(reads)


class Fit(nn.Module):
    """A score and its threshold, frozen: whether some expert of the pool fits an input."""

    def __init__(self, score: nn.Module, design: FitDesign) -> None:
        super().__init__()
        self.score, self.design = score, design

    @property
    def threshold(self) -> float | None:
        """Score above which no expert fits."""
        return self.design.threshold

    def scores(self, features: Features, routing: Routing, allowed: Tensor) -> Tensor:
        """How strange each input is to the nearest task that can take it, `(batch,)`.

        Args:
            allowed: `(batch, slots)`, which experts can take each; one of them at least.
        """
        return nearest(self.score, features, routing, allowed)

    def fits(self, scores: Sequence[float]) -> list[bool]:
        """Whether some expert fits inputs with these scores."""
        return [self.threshold is None or score <= self.threshold for score in scores]

    def reason(self, score: float) -> str | None:
        """Why no expert fits an input with this score; None where one does."""
        if self.threshold is None or score <= self.threshold:
            return None
        return (
            f"no expert fits: the score of the text is {score:.4g}, and {100 * self.design.coverage:.4g} % "
            f"of the rows of known tasks stay below {self.threshold:.4g}"
        )


def nearest(score: nn.Module, features: Features, routing: Routing, allowed: Tensor) -> Tensor:
    """The smallest distance from a task that can take each input, `(batch,)`."""
    found: Tensor = score(features, routing)
    return found.masked_fill(~allowed, math.inf).amin(-1)


def threshold(scores: Tensor, coverage: float) -> float | None:
    """The score under which a new row lies with a probability of at least `coverage`, given those of held-out
    rows: the `ceil((n + 1) coverage)`-th smallest of `n`. None where there is none such.

    It is rounded up to four digits, so that no row on the very edge falls on either side of it by the
    rounding of its batch.
    """
    place = math.ceil((len(scores) + 1) * coverage)
    if place > len(scores):
        return None
    edge = scores.double().sort().values[place - 1].item()
    step = 10.0 ** (math.floor(math.log10(abs(edge))) - 3) if edge else 1e-4
    return math.ceil(edge / step + 1e-3) * step
