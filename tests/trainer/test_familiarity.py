"""From where on no expert fits: the place among the held-out scores, and the sums behind the distance."""

import numpy as np
import pytest
import torch

from registry.errors import InvalidSettingError
from trainer.familiarity import Fit, FitDesign, threshold
from trainer.fit_limits import check_fit
from trainer.sums import RidgeSums, TaskSums


def test_the_threshold_is_the_right_one_of_the_held_out_scores() -> None:
    scores = torch.tensor([3.0, 1.0, 4.0, 2.0])
    # ceil(5 x 0.6) = 3: the third smallest of four, rounded up to four digits and never down.
    assert threshold(scores, 0.6) == pytest.approx(3.001)
    assert threshold(scores, 0.8) == pytest.approx(4.001)
    assert threshold(torch.tensor([0.0012344, 0.0012345]), 0.5) == pytest.approx(0.001235)
    assert threshold(torch.tensor([-2.0, -1.0, 0.0]), 0.25) == pytest.approx(-1.999)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
def test_new_scores_stay_below_it_as_often_as_was_asked(coverage: float) -> None:
    generator = torch.Generator().manual_seed(3)
    covered = []
    for _ in range(400):
        validation, test = torch.randn(2, 60, generator=generator).exp()
        edge = threshold(validation, coverage)
        assert edge is not None
        covered.append((test <= edge).double().mean().item())
    # On average over validation sets at least that often, and hardly more: 1 / 61 at most, and the rounding.
    assert coverage - 0.01 < sum(covered) / len(covered) < coverage + 1 / 61 + 0.01


def test_too_few_rows_tell_no_threshold() -> None:
    assert threshold(torch.arange(48.0), 0.98) is None
    assert threshold(torch.arange(49.0), 0.98) == pytest.approx(48.01)
    assert threshold(torch.arange(1000.0), 1.0) is None


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan")])
def test_a_coverage_that_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(InvalidSettingError, match=r"must be above 0 and at most 1"):
        check_fit(coverage=share)


def test_without_a_threshold_everything_fits() -> None:
    fit = Fit(torch.nn.Identity(), FitDesign(kind="states", coverage=0.98, threshold=None, rows=3))
    assert fit.fits([0.0, 1e9]) == [True, True]
    assert fit.reason(1e9) is None


def test_the_reason_is_told_in_words() -> None:
    fit = Fit(torch.nn.Identity(), FitDesign(kind="states", coverage=0.98, threshold=1.25, rows=99))
    assert fit.fits([1.25, 1.26]) == [True, False]
    assert fit.reason(1.25) is None
    assert fit.reason(2.5) == (
        "no expert fits: the score of the text is 2.5, and 98 % of the rows of known tasks stay below 1.25"
    )


@pytest.mark.parametrize("edges", [(0, 300), (100, 300), (256, 280), (40, 41)])
def test_the_covariance_within_tasks_is_that_of_the_rows(edges: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    tasks = [5 + place + torch.randn(50, 300, generator=generator) for place in range(3)]
    sums = RidgeSums.of(tasks)
    each = [np.cov(rows.double().numpy(), rowvar=False, bias=True) for rows in tasks]
    first, last = edges
    wanted = (sum(each) / 3)[first:last, first:last]
    assert np.allclose(sums.within(first, last).numpy(), wanted, rtol=0, atol=1e-9)
    # A task that comes and goes leaves nothing behind.
    more = TaskSums.of(torch.randn(20, 300, generator=generator))
    sums.add(more)
    sums.remove(3, more)
    assert np.allclose(sums.within(first, last).numpy(), wanted, rtol=0, atol=1e-9)
