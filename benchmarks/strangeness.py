"""Scores of strangeness that might have been: of a router's logits, of pooled states."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.known import Known
from trainer.routers import Features

NEIGHBOURS = 5

Rival = Callable[[Known], Callable[[Features], Tensor]]
"""Fits a score."""

OF_LOGITS: dict[str, Callable[[Tensor], Tensor]] = {
    "largest weight": lambda logits: -logits.log_softmax(-1).amax(-1),
    "largest logit": lambda logits: -logits.amax(-1),
    "margin of weights": lambda logits: -margin(logits.softmax(-1)),
    "energy": lambda logits: -logits.logsumexp(-1),
}


def margin(weights: Tensor) -> Tensor:
    """Largest less second largest."""
    best = weights.topk(2, -1).values
    return best[:, 0] - best[:, 1]


class Mahalanobis:
    """Distance of the deepest states from the nearest mean, by the covariance within tasks; relative: less
    that from the mean of all, by the covariance of all."""

    RIDGE = 0.01

    def __init__(self, training: Known, *, relative: bool, places: slice = slice(-1, None)) -> None:
        self.relative, self.places = relative, places
        rows = [task.states["train"][:, places].flatten(1).double() for task in training.tasks]
        self.means = torch.stack([one.mean(0) for one in rows])
        self.centre = self.means.mean(0)
        within = torch.stack([torch.cov(one.T, correction=0) for one in rows]).mean(0)
        apart = self.means - self.centre
        whole = within + apart.T @ apart / len(rows)
        self.within, self.whole = (self.whitening(one) for one in (within, whole))

    def whitening(self, covariance: Tensor) -> Tensor:
        """From differences to those of unit covariance."""
        damped = covariance + self.RIDGE * covariance.diagonal().diag()
        inverse = torch.linalg.solve_triangular(
            torch.linalg.cholesky(damped), torch.eye(len(damped), dtype=torch.float64), upper=False
        )
        return inverse.T

    def __call__(self, features: Features) -> Tensor:
        """The larger, the stranger."""
        assert features.states is not None
        apart = features.states[:, self.places].flatten(1).double() - self.centre
        near = torch.cdist(apart @ self.within, (self.means - self.centre) @ self.within).amin(-1) ** 2
        return near - (apart @ self.whole).square().sum(-1) if self.relative else near


class Neighbours:
    """Cosine of the deepest mean state, standardised, with that of the fifth nearest training row."""

    def __init__(self, training: Known) -> None:
        rows = training.states[:, -1, 0]
        self.centre, self.scale = rows.mean(0), rows.std(0).clamp_min(1e-6)
        self.rows = functional.normalize((rows - self.centre) / self.scale)

    def __call__(self, features: Features) -> Tensor:
        """The larger, the stranger."""
        assert features.states is not None
        asked = functional.normalize((features.states[:, -1, 0] - self.centre) / self.scale)
        return -(asked @ self.rows.T).topk(NEIGHBOURS, -1).values[:, -1]


RIVALS: dict[str, Rival] = {
    "Mahalanobis": lambda training: Mahalanobis(training, relative=False),
    "Mahalanobis, all layers": lambda training: Mahalanobis(training, relative=False, places=slice(None)),
    "relative Mahalanobis": lambda training: Mahalanobis(training, relative=True),
    "relative Mahalanobis, all layers": lambda training: Mahalanobis(
        training, relative=True, places=slice(None)
    ),
    "fifth nearest neighbour": Neighbours,
}
