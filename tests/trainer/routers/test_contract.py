"""What every router kind keeps, whichever file it comes from."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cache
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from registry import tensors
from registry.canonical import canonical_json
from trainer import generations, kinds
from trainer.routers import (
    Examples,
    Features,
    Routing,
    closed_form,
    fit_once,
    late_fusion,
    noisy_top1,
    routing_accuracy,
    trigrams,
)

LAYERS, HIDDEN = 2, 24
WORDS = ("amber", "basalt", "cedar")


@pytest.fixture(params=kinds.names("routers"))
def family(request: pytest.FixtureRequest) -> ModuleType:
    return kinds.load("routers", request.param)


class Held(Examples):
    """Examples in memory."""

    def __init__(self, features: Features, slots: Tensor) -> None:
        super().__init__(slots)
        self.features = features

    @property
    def texts(self) -> Sequence[str]:
        assert self.features.texts is not None
        return self.features.texts

    @property
    def states(self) -> Tensor:
        assert self.features.states is not None
        return self.features.states


def examples(rows: int, slots: int, seed: int) -> Held:
    """Rows in turn of each slot: states around a centre of its own, texts around a word of its own."""
    centres = torch.randn(slots, LAYERS, 2, HIDDEN, generator=torch.Generator().manual_seed(99))
    generator = torch.Generator().manual_seed(seed)
    truth = torch.arange(rows) % slots
    noise = torch.randn(rows, LAYERS, 2, HIDDEN, generator=generator)
    texts = [f"the {WORDS[slot]} of row {row * 7 % 5}" for row, slot in enumerate(truth.tolist())]
    return Held(Features(5 + centres[truth] + 0.3 * noise, texts), truth)


def config(family: ModuleType) -> Any:
    """The kind's own, but with fewer hash buckets where it has some: thousands of them take seconds to
    solve."""
    own = family.Config()
    return replace(own, buckets=256) if hasattr(own, "buckets") else own


@cache
def fitted(family: ModuleType, slots: int = 3, seed: int = 0) -> nn.Module:
    """Made once: what a router may do after its fit leaves it as it is."""
    return fit_anew(family, slots, seed)


def fit_anew(family: ModuleType, slots: int, seed: int) -> nn.Module:
    router: nn.Module = family.fit(
        config(family), examples(60, slots, 1), examples(30, slots, 2), slots, seed
    )
    return router


def same(one: Routing, other: Routing) -> bool:
    return torch.equal(one.weights, other.weights) and torch.equal(one.logits, other.logits)


def test_it_learns_to_tell_separable_tasks_apart(family: ModuleType) -> None:
    held_out = examples(90, 3, 3)
    assert routing_accuracy(fitted(family)(held_out.features), held_out.slots) == 1.0


def test_weights_are_shares_of_one_for_each_text(family: ModuleType) -> None:
    routing = fitted(family)(examples(8, 3, 4).features)
    assert routing.weights.shape == routing.logits.shape == (8, 1, 3)
    assert (routing.weights >= 0).all()
    assert torch.allclose(routing.weights.sum(-1), torch.ones(8, 1), atol=1e-6)
    assert torch.equal(routing.slots, routing.logits.argmax(-1))


def test_the_margin_is_how_far_the_best_is_ahead(family: ModuleType) -> None:
    routing = fitted(family)(examples(8, 3, 4).features)
    ordered = routing.weights.sort(-1, descending=True).values
    assert torch.equal(routing.margin, ordered[..., 0] - ordered[..., 1])


def test_evaluation_is_deterministic(family: ModuleType) -> None:
    router, features = fitted(family), examples(8, 3, 4).features
    assert same(router(features), router(features))


def test_a_text_goes_the_same_way_in_any_company(family: ModuleType) -> None:
    router, features = fitted(family), examples(12, 3, 4).features
    whole = router(features).weights
    alone = [router(features.take([row])).weights for row in range(12)]
    backwards = router(features.take(list(range(11, -1, -1)))).weights
    assert torch.allclose(torch.cat(alone), whole, rtol=0, atol=1e-5)
    assert torch.allclose(backwards.flip(0), whole, rtol=0, atol=1e-5)


def test_the_same_seed_fits_the_same_router(family: ModuleType) -> None:
    torch.manual_seed(1)
    again = fit_anew(family, 3, 0).state_dict()
    first = fitted(family).state_dict()
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_one_expert_gets_every_text(family: ModuleType) -> None:
    routing = fitted(family, slots=1)(examples(4, 1, 3).features)
    assert torch.equal(routing.weights, torch.ones(4, 1, 1))
    assert torch.equal(routing.margin, torch.ones(4, 1))


def test_what_is_fitted_is_frozen_and_finite(family: ModuleType) -> None:
    router = fitted(family)
    assert not router.training
    assert not any(parameter.requires_grad for parameter in router.parameters())
    assert all(value.isfinite().all() for value in router.state_dict().values())


def test_it_comes_back_from_its_bytes_bit_equal(family: ModuleType) -> None:
    router, features = fitted(family), examples(8, 3, 4).features
    values, about = tensors.unpack(generations.pack(router, {"experts": ["a", "b", "c"]}))
    twin = family.Router(config(family), (LAYERS, 2, HIDDEN), 3).eval()
    twin.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in values.items()})
    assert about == {"experts": ["a", "b", "c"]}
    assert {value.dtype.name for value in values.values()} == {"float32"}
    assert same(twin(features), router(features))


def test_its_config_is_json(family: ModuleType) -> None:
    assert canonical_json(asdict(config(family)))


def test_a_task_with_few_rows_counts_as_much_as_one_with_many(family: ModuleType) -> None:
    plenty, held_out = examples(300, 3, 1), examples(90, 3, 3)
    few = [row for row, slot in enumerate(plenty.slots.tolist()) if slot > 0 or row < 12]
    uneven = Held(plenty.features.take(few), plenty.slots[few])
    router = family.fit(config(family), uneven, examples(30, 3, 2), 3, 0)
    assert routing_accuracy(router(held_out.features), held_out.slots) == 1.0


@pytest.mark.parametrize(("slots", "parameters"), [(1, 4_097), (6, 24_582), (17, 69_649)])
def test_noisy_top1_has_4097_parameters_an_expert_at_width_2048(slots: int, parameters: int) -> None:
    router = noisy_top1.Router(noisy_top1.Config(), (1, 2, 2048), slots)
    assert generations.parameter_count(router) == parameters


def test_noisy_top1_is_noisy_in_training_only() -> None:
    router, features = fitted(noisy_top1), examples(8, 3, 4).features
    generator = torch.Generator().manual_seed(0)
    assert features.states is not None
    read = features.states[:, -1]
    once, twice = router.noisy_logits(read, generator), router.noisy_logits(read, generator)
    assert not torch.equal(once, twice)
    assert same(router(features), router(features))
    router = fit_anew(noisy_top1, 3, 0).train()
    assert same(router(features), fitted(noisy_top1)(features))


def test_late_fusion_weighs_what_states_and_trigrams_say() -> None:
    router, features = fitted(late_fusion), examples(8, 3, 4).features
    states, texts = (fitted(one)(features).logits[:, 0].log_softmax(-1) for one in (closed_form, trigrams))
    wanted = (states + router.share * texts) / router.temperature
    assert torch.allclose(router(features).logits[:, 0], wanted, atol=1e-5)


@pytest.mark.parametrize("told_by", ["states", "text"])
def test_late_fusion_listens_to_what_tells_tasks_apart(told_by: str) -> None:
    def blurred(rows: int, seed: int) -> Held:
        own = examples(rows, 3, seed)
        assert own.features.states is not None
        if told_by == "states":
            return Held(Features(own.features.states, ["a text"] * rows), own.slots)
        generator = torch.Generator().manual_seed(seed)
        return Held(Features(torch.randn(own.states.shape, generator=generator), own.texts), own.slots)

    held_out = blurred(90, 3)
    router = late_fusion.fit(config(late_fusion), blurred(60, 1), blurred(30, 2), 3, 0)
    if told_by == "text":
        assert router.share.item() > 0
    assert routing_accuracy(router(held_out.features), held_out.slots) > 0.9


def test_what_others_are_made_of_is_fitted_once() -> None:
    training, validation = examples(60, 3, 1), examples(30, 3, 2)
    alone = fit_once(closed_form, closed_form.Config(), training, validation, 3, 0)
    fused = fit_once(late_fusion, config(late_fusion), training, validation, 3, 0)
    assert fit_once(closed_form, closed_form.Config(), training, validation, 3, 0) is alone
    assert fit_once(closed_form, closed_form.Config(), training, validation, 3, 1) is not alone
    assert isinstance(fused, late_fusion.Router)
    assert torch.equal(fused.states.linear.weight, alone.get_parameter("linear.weight"))
    assert fused.states is not alone


TEXTS = [[""], ["", "amber"], ["\ud800"], ["a", "\U0010ffff\U0010ffff"], ["x" * 100_000], []]


@pytest.mark.parametrize("texts", TEXTS)
def test_routers_of_text_take_any_text(family: ModuleType, texts: list[str]) -> None:
    if "text" not in family.READS:
        pytest.skip("reads states")
    states = examples(max(len(texts), 1), 3, 5).states[: len(texts)]
    weights = fitted(family)(Features(states, texts)).weights
    assert weights.shape == (len(texts), 1, 3)
    assert torch.allclose(weights.sum(-1), torch.ones(len(texts), 1), atol=1e-5)


def test_trigrams_are_those_of_the_text_with_its_ends() -> None:
    def buckets(text: str) -> set[int]:
        return {bucket for _, one in trigrams.counted([text], 1 << 20) for bucket in one.columns.tolist()}

    assert len(buckets("abc")) == 3  # " ab", "abc" and "bc "
    assert buckets("Abc") == buckets("abc")
    assert len(buckets("abc") & buckets("abd")) == 1
    assert len(buckets("abc") & buckets("cba")) == 0
    [(first, found)] = trigrams.counted(["aaaa", "ab"], 1 << 20)
    assert (first, found.offsets.tolist()) == (0, [0, 3])
    assert sorted(found.values[:3].square().tolist()) == pytest.approx([0.25, 0.25, 0.5])
    assert found.values[3:].square().tolist() == pytest.approx([0.5, 0.5])


def test_the_rows_of_a_large_pool_are_counted_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    training = examples(60, 3, 1)
    whole = trigrams.count(training, 3, 64)
    monkeypatch.setattr(trigrams, "CHUNK", 7)
    told: list[int] = []
    counts = trigrams.count(training, 3, 64, lambda stage, done, total, note: told.append(done))
    assert torch.allclose(counts, whole)
    assert told == [7, 14, 21, 28, 35, 42, 49, 56, 60]
