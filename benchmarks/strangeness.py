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
        self.points = (self.means - self.centre) @ self.within

    def white(self, states: Tensor) -> Tensor:
        """States `(rows, layers, 2, hidden)` as differences from the centre, of unit covariance in tasks."""
        return (states[:, self.places].flatten(1).double() - self.centre) @ self.within

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
        near = torch.cdist(self.white(features.states), self.points).amin(-1) ** 2
        if not self.relative:
            return near
        apart = features.states[:, self.places].flatten(1).double() - self.centre
        return near - (apart @ self.whole).square().sum(-1)


class OwnCovariances:
    """Relative Mahalanobis with a covariance for each task: log-likelihood under all tasks together less that
    under the likeliest one, in the space between the means and in so many more directions, those along which
    the tasks' own covariances differ most."""

    OWN = 0.9

    def __init__(self, training: Known, *, directions: int) -> None:
        self.shared = Mahalanobis(training, relative=False)
        points = self.shared.points
        _, sizes, axes = torch.linalg.svd(points, full_matrices=False)
        own = [torch.cov(self.shared.white(task.states["train"]).T, correction=0) for task in training.tasks]
        eye = torch.eye(axes.shape[1], dtype=torch.float64)
        outside = eye - axes.T @ axes
        differ = torch.zeros_like(eye)
        for one in own:
            differ += (one - eye) @ (one - eye)
        more = min(directions, len(eye) - len(axes))
        found = torch.linalg.eigh(outside @ differ @ outside).eigenvectors
        self.axes = torch.cat([axes, found[:, len(eye) - more :].T])
        self.far = torch.cat([1 + sizes**2 / len(points), torch.ones(more, dtype=torch.float64)])
        self.points = points @ self.axes.T
        spread = [self.OWN * one + (1 - self.OWN) * eye for one in own]
        self.factors = [torch.linalg.cholesky(self.axes @ one @ self.axes.T) for one in spread]

    def __call__(self, features: Features) -> Tensor:
        """The larger, the stranger."""
        assert features.states is not None
        rows = self.shared.white(features.states) @ self.axes.T
        near = [
            torch.linalg.solve_triangular(factor, (rows - point).T, upper=False).square().sum(0)
            + 2 * factor.diagonal().log().sum()
            for factor, point in zip(self.factors, self.points, strict=True)
        ]
        return torch.stack(near).amin(0) - (rows**2 / self.far).sum(-1)


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
    "own covariances": lambda training: OwnCovariances(training, directions=0),
    "own covariances, 192 directions more": lambda training: OwnCovariances(training, directions=192),
    "fifth nearest neighbour": Neighbours,
}
