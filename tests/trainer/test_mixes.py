"""Which experts answer an input together, and with which weights."""

import pytest
import torch

from registry.errors import InvalidSettingError
from trainer.mixes import Mix, Policy
from trainer.routers import Routing

KINDS = ["words", "words", "numbers", "words"]


def routing(*rows: tuple[float, ...]) -> Routing:
    weights = torch.tensor(rows, dtype=torch.float64).unsqueeze(1)
    return Routing(weights, weights.log())


@pytest.mark.parametrize(
    ("top_k", "fallback", "policy"),
    [
        (None, None, Policy(1, 0)),
        (None, "abstain", Policy(1, 0)),
        (None, "top-k", Policy(1, 3)),
        (5, "top-k", Policy(1, 5)),
        (2, None, Policy(2, 2)),
        (1, None, Policy(1, 1)),
        (2, "abstain", Policy(2, 0)),
        (None, "base", Policy(1, 0, bare=True)),
        (2, "base", Policy(2, 0, bare=True)),
    ],
)
def test_how_many_answer_is_what_was_asked_for(
    top_k: int | None, fallback: str | None, policy: Policy
) -> None:
    assert Policy.of(top_k, fallback) == policy


def test_unknown_wishes_are_refused_in_one_line() -> None:
    with pytest.raises(InvalidSettingError) as refusal:
        Policy.of(None, "top_k")
    assert str(refusal.value) == (
        "fallback 'top_k' is unknown: choose abstain, top-k or base. Did you mean 'top-k'?"
    )
    with pytest.raises(InvalidSettingError, match="top-k 0 must be 1 or more"):
        Policy.of(0)


def test_the_best_few_of_one_kind_share_the_weight() -> None:
    given = routing((0.1, 0.4, 0.3, 0.2), (0.1, 0.2, 0.6, 0.1))
    two, all_of_them = (Policy.of(count).mixes(given, [True, True], KINDS) for count in (2, 9))
    assert two[0].slots == (1, 3)
    assert two[0].weights == pytest.approx((2 / 3, 1 / 3))
    assert all_of_them[0].slots == (1, 3, 0)
    assert all_of_them[0].weights == pytest.approx((4 / 7, 2 / 7, 1 / 7))
    assert two[1] == all_of_them[1] == Mix((2,), (1.0,))


def test_experts_without_any_weight_are_left_out() -> None:
    assert Policy.of(3).mixes(routing((0.0, 1.0, 0.0, 0.0)), [True], KINDS) == [Mix.alone(1)]


def test_where_none_fits_another_number_answers() -> None:
    given = routing(*[(0.3, 0.4, 0.2, 0.1)] * 2)
    assert Policy.of().mixes(given, [True, False], KINDS) == [Mix.alone(1), Mix((), ())]
    first, second = Policy.of(fallback="top-k").mixes(given, [True, False], KINDS)
    assert first == Mix.alone(1)
    assert second.slots == (1, 0, 3)
    found = Policy.of(fallback="base").mixes(given, [True, False], KINDS)
    assert found == [Mix.alone(1), Mix((), (), bare=True)]
