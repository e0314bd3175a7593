"""Ridge from sums per task: the joint fit, in any order; a task that is removed leaves nothing behind."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from registry.errors import InvalidSettingError
from trainer.ridge import fit_ridge
from trainer.sums import RidgeSums, TaskSums

WIDTH = 12


def tasks(count: int, seed: int = 0) -> list[Tensor]:
    """Rows of each task: of very different number, place and scale, in float32 as features are."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.logspace(-2, 2, WIDTH)
    return [
        (
            torch.randn(20 + 35 * task, WIDTH, generator=generator)
            + 3 * torch.randn(WIDTH, generator=generator)
        )
        * spread
        for task in range(count)
    ]


def built(each: list[Tensor]) -> RidgeSums:
    return RidgeSums.of(each)


def joint_fit(each: list[Tensor], ridge: float, *, standardise: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Weighted least squares with an explicit design matrix: tasks weigh the same, the bias is not damped."""
    rows = np.concatenate([one.double().numpy() for one in each])
    targets = np.concatenate(
        [np.tile(np.eye(len(each))[slot], (len(one), 1)) for slot, one in enumerate(each)]
    )
    weights = np.concatenate([np.full(len(one), 1 / len(one) / len(each)) for one in each])
    centre = weights @ rows
    variance = weights @ (rows - centre) ** 2
    scale = np.sqrt(variance if standardise else np.full(WIDTH, variance.mean()))
    design = np.concatenate([np.ones((len(rows), 1)), (rows - centre) / scale], 1) * np.sqrt(weights)[:, None]
    damping = np.sqrt(ridge) * np.eye(WIDTH + 1)[1:]
    solution = np.linalg.lstsq(
        np.concatenate([design, damping]),
        np.concatenate([targets * np.sqrt(weights)[:, None], np.zeros((WIDTH, len(each)))]),
        rcond=None,
    )[0]
    weight = solution[1:].T / scale
    return weight, solution[0] - weight @ centre


def scores(fit: tuple[Tensor, Tensor] | tuple[np.ndarray, np.ndarray], each: list[Tensor]) -> np.ndarray:
    weight, bias = (np.asarray(part) for part in fit)
    return np.concatenate([one.double().numpy() @ weight.T + bias for one in each])


@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("ridge", [0.001, 0.1, 1.0])
def test_built_task_by_task_it_is_the_joint_fit(ridge: float, standardise: bool) -> None:
    each = tasks(4)
    stepwise = built(each).system(standardise=standardise).solve(ridge)
    joint = joint_fit(each, ridge, standardise=standardise)
    for part, wanted in zip(stepwise, joint, strict=True):
        assert np.abs(part.numpy() - wanted).max() <= 1e-8 * max(1.0, np.abs(wanted).max())
    assert np.abs(scores(stepwise, each) - scores(joint, each)).max() <= 1e-8


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_a_removed_task_was_never_there(data: st.DataObject) -> None:
    each = tasks(data.draw(st.integers(2, 5)), seed=data.draw(st.integers(0, 100)))
    slot = data.draw(st.integers(0, len(each) - 1))
    rest = each[:slot] + each[slot + 1 :]
    sums = built(each)
    sums.remove(slot, TaskSums.of(each[slot]))
    assert (
        np.abs(scores(sums.system().solve(0.01), rest) - scores(built(rest).system().solve(0.01), rest)).max()
        <= 1e-8
    )


def test_the_order_of_adding_moves_slots_and_nothing_else() -> None:
    each = tasks(3)
    first = scores(built(each).system().solve(0.01), each)
    for order in permutations(range(3)):
        found = scores(built([each[slot] for slot in order]).system().solve(0.01), each)
        assert np.abs(found[:, np.argsort(order)] - first).max() <= 1e-8


def test_added_again_after_removal_it_is_the_same_fit() -> None:
    each = tasks(3)
    sums, last = built(each), TaskSums.of(each[2])
    sums.remove(2, last)
    sums.add(last)
    assert (
        np.abs(scores(sums.system().solve(0.01), each) - scores(built(each).system().solve(0.01), each)).max()
        <= 1e-8
    )


def test_adding_leaves_the_sums_of_a_task_alone() -> None:
    first, second = (TaskSums.of(one) for one in tasks(2))
    kept = first.mean.clone(), first.gram.clone()
    sums = RidgeSums()
    sums.add(first)
    sums.add(second)
    assert torch.equal(first.mean, kept[0]) and torch.equal(first.gram, kept[1])


def test_the_last_task_removed_leaves_it_empty() -> None:
    only = TaskSums.of(tasks(1)[0])
    sums = RidgeSums()
    sums.add(only)
    sums.remove(0, only)
    with pytest.raises(InvalidSettingError, match="no task has been added"):
        sums.system()


def test_the_sums_of_another_task_are_refused_and_change_nothing() -> None:
    each = tasks(2)
    sums = built(each)
    before = sums.system().solve(0.01)
    with pytest.raises(InvalidSettingError, match="slot 0 does not hold these sums"):
        sums.remove(0, TaskSums.of(each[1]))
    after = sums.system().solve(0.01)
    assert torch.equal(after[0], before[0]) and torch.equal(after[1], before[1])


def test_nothing_can_be_removed_from_nothing() -> None:
    with pytest.raises(InvalidSettingError, match="slot 0 does not hold these sums"):
        RidgeSums().remove(0, TaskSums.of(tasks(1)[0]))


def test_a_slot_that_does_not_exist_is_refused() -> None:
    each = tasks(2)
    with pytest.raises(InvalidSettingError, match="slot 7 does not hold these sums"):
        built(each).remove(7, TaskSums.of(each[0]))


def test_validation_picks_the_ridge() -> None:
    """Far too much damping hides the small differences between these tasks; the fit must not choose it."""
    each = tasks(3)
    slots = torch.cat([torch.full((len(one),), slot) for slot, one in enumerate(each)])
    chosen = fit_ridge(built(each), torch.cat(each), slots, [0.001, 1e9])
    wanted = built(each).system().solve(0.001)
    assert torch.equal(chosen.weight, wanted[0]) and torch.equal(chosen.bias, wanted[1])


@pytest.mark.parametrize("rows", range(20, 60, 3))
def test_features_that_never_change_far_from_zero_carry_no_weight(rows: int) -> None:
    each = [one[:20].repeat(3, 1)[: rows + slot] for slot, one in enumerate(tasks(3))]
    for one in each:
        one[:, :5] = torch.tensor([1000.1, -2000.3, 0.1, 777.7, 31.3])
    whole = scores(built(each).system().solve(0.001), each)
    without = [one[:, 5:] for one in each]
    assert np.abs(whole - scores(built(without).system().solve(0.001), without)).max() <= 1e-8
