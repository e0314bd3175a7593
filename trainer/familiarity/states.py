"""Relative Mahalanobis distance of pooled states (arXiv 2106.09022): how far a text is from the nearest task,
less how far it is from all of them together.

With the states whitened by the covariance within tasks, let `y` be a text's difference from the mean of the
tasks and `z_t` that of task `t`. The tasks add `Z'Z / T` to the covariance within them, so with the singular
values `s_i` of `Z` and the right singular vectors for coordinates, the two distances differ by

    sum_i (y_i - z_ti)^2 - sum_i y_i^2 / (1 + s_i^2 / T)

and nothing of the size of a covariance is kept. What lies outside of the space of the `z_t` is in both, and
cancels. Among few tasks it tells a lot: so the second distance, with what lies outside, is added again with
the weight `1 / T^2`, the length outside being that along some random directions.

Means and covariance are those of the sums that routers are solved from (`trainer.sums`): a task that is added
costs its own rows, and no old row is read.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainer.routers import Examples, Features, Routing

RIDGE = 0.01
"""Added to the variance of each feature, as a share of it: with few rows some directions have none."""
DIRECTIONS = 128
"""Random ones, that estimate a length with a deviation of an eighth."""


class Score(nn.Module):
    """Reads the states that enter the deepest layer, mean and last token."""

    centre: Tensor
    directions: Tensor
    points: Tensor
    shares: Tensor

    def __init__(self, shape: Sequence[int], slots: int) -> None:
        super().__init__()
        width = shape[-2] * shape[-1]
        rank = min(slots, width)
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("directions", torch.zeros(rank + DIRECTIONS, width))
        self.register_buffer("points", torch.zeros(slots, rank))
        self.register_buffer("shares", torch.zeros(rank))

    def forward(self, features: Features, routing: Routing) -> Tensor:
        """The distance from each task, `(batch, slots)`."""
        return self.distances(features)

    def distances(self, features: Features) -> Tensor:
        """The same; what the router made of the features does not matter."""
        assert features.states is not None
        slots, rank = self.points.shape
        along = (features.states[:, -1].flatten(1).cpu() - self.centre) @ self.directions.T
        # In float64: of tasks far apart the difference of large squares is wanted.
        squares, inside, points = along.double().square(), along[:, :rank].double(), self.points.double()
        near = squares[:, :rank].sum(-1, keepdim=True) - 2 * inside @ points.T + points.square().sum(-1)
        far = (squares[:, :rank] * self.shares).sum(-1, keepdim=True)
        outside = squares[:, rank:].sum(-1, keepdim=True)
        return (near - far + (far + outside) / slots**2).float()


def fit(training: Examples, validation: Examples, slots: int) -> Score:
    """From the sums of the tasks. The random directions are always the same."""
    sums, score = training.sums(), Score(training.shape, slots)
    last = len(sums.means[0])
    covariance = sums.within(last - len(score.centre), last)
    means = torch.stack(sums.means)[:, last - len(score.centre) :]
    scale = covariance.diagonal().clamp_min(1e-12).sqrt()
    damped = covariance / torch.outer(scale, scale)
    damped.diagonal().add_(RIDGE)
    factor = torch.linalg.cholesky(damped)
    centre = means.mean(0)
    white = torch.linalg.solve_triangular(factor, ((means - centre) / scale).T, upper=False)
    axes, sizes, turned = torch.linalg.svd(white, full_matrices=False)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(len(scale), DIRECTIONS, generator=generator, dtype=torch.float64) / DIRECTIONS**0.5
    both = torch.cat([axes, drawn - axes @ (axes.T @ drawn)], 1)
    score.centre.copy_(centre)
    score.directions.copy_(torch.linalg.solve_triangular(factor.T, both, upper=True).T / scale)
    score.points.copy_((sizes[:, None] * turned).T)
    score.shares.copy_(1 / (1 + sizes.square() / slots))
    return score.eval().requires_grad_(False)
