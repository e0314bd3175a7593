"""What every score of strangeness keeps, whatever it reads."""

from functools import cache
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from registry import tensors
from tests.trainer.routers import test_contract as routers
from tests.trainer.routers.test_contract import HIDDEN, LAYERS, Held, examples
from trainer import generations, kinds
from trainer.familiarity import Fit, FitDesign, name_of, nearest, states
from trainer.routers import Features, Routing

DESIGN = FitDesign(kind="states", coverage=0.9, threshold=1.0, rows=9)


@pytest.fixture(params=kinds.names("familiarity"))
def family(request: pytest.FixtureRequest) -> ModuleType:
    return kinds.load("familiarity", request.param)


@cache
def fitted(family: ModuleType, slots: int = 3) -> nn.Module:
    score: nn.Module = family.fit(examples(60, slots, 1), examples(30, slots, 2), slots)
    return score


def routed(family: ModuleType, features: Features, slots: int = 3) -> Routing:
    """By the first router that reads the same."""
    each = kinds.load_all("routers").values()
    router = next(one for one in each if name_of(one.READS) == family.__name__.rpartition(".")[2])
    found: Routing = routers.fitted(router, slots)(features)
    return found


def distances(family: ModuleType, features: Features, slots: int = 3) -> Tensor:
    found: Tensor = fitted(family, slots)(features, routed(family, features, slots))
    return found


def strange(rows: int) -> Features:
    """States around a centre that no task has, texts of words that none has."""
    generator = torch.Generator().manual_seed(5)
    states = -4 + torch.randn(rows, LAYERS, 2, HIDDEN, generator=generator)
    return Features(states, [f"granite obsidian slate {row}" for row in range(rows)])


def test_a_row_is_nearest_to_its_own_task(family: ModuleType) -> None:
    held_out = examples(90, 3, 3)
    found = distances(family, held_out.features)
    assert found.shape == (90, 3)
    assert torch.equal(found.argmin(-1), held_out.slots)
    assert found.isfinite().all()


def test_what_no_task_is_like_is_stranger_than_any_row_of_theirs(family: ModuleType) -> None:
    known = distances(family, examples(90, 3, 3).features).amin(-1)
    assert distances(family, strange(30)).amin(-1).min() > known.max()


def test_one_task_alone_tells_strange_states_too() -> None:
    known = distances(states, examples(40, 1, 3).features, slots=1)
    assert distances(states, strange(10), slots=1).min() > known.max()


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_the_distance_of_states_is_that_of_its_definition(slots: int) -> None:
    training, asked = examples(40 * slots, slots, 1), examples(30, slots, 2).features
    assert asked.states is not None
    rows = [training.states[training.slots == slot][:, -1].flatten(1).double() for slot in range(slots)]
    means = torch.stack([one.mean(0) for one in rows])
    within = torch.stack([torch.cov(one.T, correction=0) for one in rows]).mean(0)
    within += states.RIDGE * within.diagonal().diag()
    apart = means - means.mean(0)
    whole = within + apart.T @ apart / slots
    given = asked.states[:, -1].flatten(1).double()

    def squared(differences: Tensor, covariance: Tensor) -> Tensor:
        return (differences @ torch.linalg.inv(covariance) * differences).sum(-1)

    near = torch.stack([squared(given - mean, within) for mean in means], 1)
    far = squared(given - means.mean(0), whole)[:, None]
    score = states.fit(training, training, slots)
    found = score(asked, routed(states, asked, slots)).double()
    # What is estimated from random directions has a deviation of an eighth, and counts once in T^2.
    estimated = (found - (near - far)) * slots**2
    assert torch.allclose(estimated, far.expand_as(estimated), rtol=0.6, atol=1e-2 * slots**2)
    assert torch.allclose(found - found[:, :1], near - near[:, :1], rtol=1e-4, atol=1e-2)


def test_an_input_is_as_strange_in_any_company(family: ModuleType) -> None:
    features = examples(12, 3, 4).features
    whole = distances(family, features)
    alone = [distances(family, features.take([row])) for row in range(12)]
    backwards = distances(family, features.take(list(range(11, -1, -1))))
    assert torch.allclose(torch.cat(alone), whole, rtol=1e-5, atol=1e-4)
    assert torch.allclose(backwards.flip(0), whole, rtol=1e-5, atol=1e-4)


def test_tasks_that_cannot_take_an_input_do_not_count(family: ModuleType) -> None:
    held_out = examples(9, 3, 3)
    only = torch.zeros(9, 3, dtype=torch.bool)
    only[:, 2] = True
    each, routing = distances(family, held_out.features), routed(family, held_out.features)
    given = fitted(family), held_out.features, routing
    assert torch.equal(nearest(*given, only), each[:, 2])
    assert torch.equal(nearest(*given, ~only), each[:, :2].amin(-1))


def test_what_is_fitted_is_frozen_finite_and_always_the_same(family: ModuleType) -> None:
    score, again = fitted(family), family.fit(examples(60, 3, 1), examples(30, 3, 2), 3)
    assert not score.training
    assert not any(parameter.requires_grad for parameter in score.parameters())
    for name, value in score.state_dict().items():
        assert value.isfinite().all()
        assert torch.equal(value, again.state_dict()[name])


def test_it_comes_back_from_the_bytes_of_its_router_bit_equal(family: ModuleType) -> None:
    score, features, router = fitted(family), examples(8, 3, 4).features, nn.Linear(3, 2)
    values, _ = tensors.unpack(generations.pack(router, {}, Fit(score, DESIGN)))
    assert {name for name in values if not name.startswith("fit.")} == {"weight", "bias"}
    assert {value.dtype.name for value in values.values()} == {"float32"}
    twin = Fit(family.Score((LAYERS, 2, HIDDEN), 3), DESIGN)
    own = {name: torch.from_numpy(values[f"fit.{name}"].copy()) for name in twin.state_dict()}
    twin.load_state_dict(own)
    routing = routed(family, features)
    assert torch.equal(twin.score(features, routing), score(features, routing))


def test_a_task_with_few_rows_counts_as_much_as_one_with_many() -> None:
    plenty, held_out = examples(300, 3, 1), examples(90, 3, 3)
    few = [row for row, slot in enumerate(plenty.slots.tolist()) if slot > 0 or row < 12]
    uneven = Held(plenty.features.take(few), plenty.slots[few])
    score = states.fit(uneven, uneven, 3)
    found = score(held_out.features, routed(states, held_out.features))
    assert torch.equal(found.argmin(-1), held_out.slots)
