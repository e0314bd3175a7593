"""What every gate kind keeps, whichever file it comes from."""

from dataclasses import asdict
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from registry import tensors
from registry.canonical import canonical_json
from trainer import generations, kinds
from trainer.routers import Features, Routing

LAYERS, HIDDEN = 2, 24


@pytest.fixture(params=kinds.names("gates"))
def family(request: pytest.FixtureRequest) -> ModuleType:
    return kinds.load("gates", request.param)


def same(one: Routing, other: Routing) -> bool:
    return torch.equal(one.weights, other.weights) and torch.equal(one.logits, other.logits)


def states_of_tokens(seed: int = 0) -> Tensor:
    """`(rows, layers, tokens, hidden)`."""
    return 3 + torch.randn(5, LAYERS, 7, HIDDEN, generator=torch.Generator().manual_seed(seed))


def started(family: ModuleType, slots: int = 3, seed: int = 0) -> Any:
    return family.Router(family.Config(), (LAYERS, 2, HIDDEN), slots).start(seed)


@torch.no_grad()
def test_each_token_has_shares_of_one_at_every_layer_read_and_over_all(family: ModuleType) -> None:
    router, states = started(family), states_of_tokens()
    each = [router.at(place, states[:, place]) for place in range(LAYERS)]
    whole = router(Features(states, None))
    for routing in (*each, whole):
        assert routing.weights.shape == routing.logits.shape == (5, 7, 3)
        assert (routing.weights >= 0).all()
        assert torch.allclose(routing.weights.sum(-1), torch.ones(5, 7), atol=1e-6)
        assert torch.equal(routing.slots, routing.logits.argmax(-1))
    assert torch.allclose(whole.weights, torch.stack([one.weights for one in each]).mean(0), atol=1e-6)


@torch.no_grad()
def test_a_token_is_weighed_the_same_in_any_company(family: ModuleType) -> None:
    router, states = started(family), states_of_tokens()
    whole = router.at(1, states[:, 1]).weights
    for row in range(5):
        for token in range(7):
            alone = router.at(1, states[row : row + 1, 1, token : token + 1]).weights
            assert torch.allclose(alone[0, 0], whole[row, token], atol=1e-6)


def test_its_best_few_are_as_many_as_its_config_says(family: ModuleType) -> None:
    router = family.Router(family.Config(top_k=2), (LAYERS, 2, HIDDEN), 4).start(0)
    routing = router.at(0, states_of_tokens()[:, 0])
    assert ((routing.weights > 0).sum(-1) == 2).all()
    best = routing.logits.topk(2, -1)
    wanted = torch.zeros(5, 7, 4).scatter(-1, best.indices, best.values.softmax(-1))
    assert torch.allclose(routing.weights, wanted, atol=1e-6)


def test_uneven_use_costs_more_than_even_use_and_padding_nothing(family: ModuleType) -> None:
    router, mask = started(family), torch.ones(5, 7, dtype=torch.long)
    mask[:, 4:] = 0
    logits = torch.zeros(5, 7, 3)
    logits[:, 0, 0] = logits[:, 1, 1] = logits[:, 2, 2] = logits[:, 3, 0] = 4.0
    even = router.balance(Routing(logits.softmax(-1), logits), mask)
    lonely = torch.zeros(5, 7, 3)
    lonely[:, :4, 0] = 4.0
    assert 1 <= even < 1.2
    assert 2 < router.balance(Routing(lonely.softmax(-1), lonely), mask) < 3
    padded = logits.clone()
    padded[:, 4:, 1] = 9.0
    assert torch.equal(even, router.balance(Routing(padded.softmax(-1), padded), mask))


def test_every_start_is_that_of_its_seed_and_comes_back_from_its_bytes(family: ModuleType) -> None:
    router, states = started(family, seed=4), states_of_tokens()
    other = started(family, seed=5)
    assert not torch.equal(router.at(0, states[:, 0]).weights, other.at(0, states[:, 0]).weights)
    values, _ = tensors.unpack(generations.pack(router, {}))
    twin = family.Router(family.Config(), (LAYERS, 2, HIDDEN), 3)
    twin.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in values.items()})
    assert {value.dtype.name for value in values.values()} == {"float32"}
    assert same(twin(Features(states, None)), started(family, seed=4)(Features(states, None)))
    assert canonical_json(asdict(family.Config()))


def test_where_it_begins_is_what_the_scores_are_linear_in(family: ModuleType) -> None:
    router, states = started(family), states_of_tokens()
    generator = torch.Generator().manual_seed(1)
    weight, bias = torch.randn(3, HIDDEN, generator=generator), torch.randn(3, generator=generator)
    before = [router.at(place, states[:, place]).logits for place in range(LAYERS)]
    router.begin(1, weight, bias)
    after = [router.at(place, states[:, place]).logits for place in range(LAYERS)]
    assert torch.equal(before[0], after[0])
    wanted = before[1] + router.normal(states[:, 1]) @ weight.T + bias
    assert torch.allclose(after[1], wanted, atol=1e-4)
