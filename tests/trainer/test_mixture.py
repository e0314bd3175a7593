"""Experts mixed in every token: what that is exactly, how it answers, and how it learns."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from registry import Expert, Registry
from registry.errors import InvalidSettingError
from tests.tiny_models import SENTENCES
from tests.trainer.pools import publish, weigh
from tests.trainer.test_bank import DESIGNS
from trainer.base_model import BaseModel
from trainer.experts import Alone
from trainer.forms import Parts, low_rank
from trainer.gates import soft_token
from trainer.gating import Gate, Shares
from trainer.layouts import form_parts
from trainer.mixture import Mixing, Mixture
from trainer.moe import MoE
from trainer.thawing import thawed
from trainer.visitors import Visitor

EVERY_KIND = [
    *DESIGNS[:3],
    {"adapter": "bottleneck", "rank": 4, "labels": 3},
    {"adapter": "sparse", "first_layer": 2},
]


@dataclass(frozen=True)
class Made:
    registry: Registry
    base: BaseModel
    experts: list[Expert]

    def moe(self, generation: int = 1, **options: int) -> MoE:
        return MoE.load(self.registry, generation, base=self.base, **options)


@pytest.fixture(scope="module", params=["llama", "bert"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """Experts of every kind of adapter behind a gate that weighs tokens once, one that weighs them at each
    layer, and one that takes the best two."""
    base: BaseModel = request.getfixturevalue(request.param)
    with Registry(tmp_path_factory.mktemp("mixture") / "home") as registry:
        experts = [publish(registry, base, f"task{seed}", seed, **own) for seed, own in enumerate(EVERY_KIND)]
        weigh(registry, base, experts, layers=(1,))
        weigh(registry, base, experts, layers=(1, 2, 3), seed=1)
        weigh(registry, base, experts, layers=(1,), top_k=2, seed=2)
        yield Made(registry, base, experts)


def low_rank_parts(slots: int, inputs: int, outputs: int, seed: int = 0) -> list[Parts]:
    """Two thin matrices for each expert, of ranks 2, 3, ..., in float64."""
    generator = torch.Generator().manual_seed(seed)
    return [
        {
            "a": torch.randn(inputs, 2 + slot, generator=generator, dtype=torch.float64),
            "b": torch.randn(2 + slot, outputs, generator=generator, dtype=torch.float64),
        }
        for slot in range(slots)
    ]


def mixed(parts: list[Parts], x: Tensor, output: Tensor, router: soft_token.Router) -> tuple[Tensor, Tensor]:
    """What a mixture makes of one linear layer, and the weights of its tokens."""
    mixing = Mixing(Gate(router, (0,)), [Alone(low_rank, {(0, "a layer"): one}) for one in parts])
    mixing.enter(0, x)
    found = mixing.adapt(0, "a layer", x, output)
    assert found is not None
    return found, mixing.shares.weights


def gate(slots: int, hidden: int, top_k: int | None = None, gates: int = 1) -> soft_token.Router:
    router = soft_token.Router(soft_token.Config(top_k=top_k), (gates, 2, hidden), slots).double()
    torch.nn.init.normal_(router.weight, std=0.3, generator=torch.Generator().manual_seed(7))
    return router


@torch.no_grad()
@pytest.mark.parametrize("top_k", [None, 2])
def test_a_mixture_is_the_concatenated_lora_of_each_token_and_not_the_mean_of_its_factors(
    top_k: int | None,
) -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2, 5, 12, generator=generator, dtype=torch.float64)
    output = torch.randn(2, 5, 8, generator=generator, dtype=torch.float64)
    parts = low_rank_parts(4, 12, 8)
    found, weights = mixed(parts, x, output.clone(), gate(4, 12, top_k))
    assert ((weights > 0).sum(-1) == (top_k or 4)).all()
    for row in range(2):
        for token in range(5):
            own = weights[row, token]
            wide = torch.cat([one["a"] for one in parts], 1)
            stacked = torch.cat([share * one["b"] for share, one in zip(own, parts, strict=True)])
            wanted = output[row, token] + x[row, token] @ wide @ stacked
            assert torch.allclose(found[row, token], wanted, rtol=0, atol=1e-10)


@torch.no_grad()
def test_the_mean_of_the_factors_is_another_thing_and_depends_on_how_they_are_written() -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(1, 6, 12, generator=generator, dtype=torch.float64)
    output = torch.zeros(1, 6, 8, dtype=torch.float64)
    # Of one rank, without which there is no mean of the factors at all.
    parts = [{"a": one["a"][:, :2], "b": one["b"][:2]} for one in low_rank_parts(3, 12, 8)]
    turned = [{"a": 2 * parts[0]["a"], "b": parts[0]["b"] / 2}, *parts[1:]]
    router = gate(3, 12)
    found, weights = mixed(parts, x, output, router)
    same, _ = mixed(turned, x, output, router)
    assert torch.allclose(found, same, rtol=0, atol=1e-10), "the same updates, written otherwise"

    mean, of_turned = averaged(weights, parts, x), averaged(weights, turned, x)
    assert (mean - found).norm() / found.norm() > 0.2
    assert (of_turned - mean).norm() / mean.norm() > 0.1
    sure = torch.zeros_like(weights)
    sure[..., 1] = 1.0
    assert torch.allclose(averaged(sure, parts, x), x @ parts[1]["a"] @ parts[1]["b"], rtol=0, atol=1e-10)


def averaged(weights: Tensor, parts: list[Parts], x: Tensor) -> Tensor:
    """The mean of the first factors times the mean of the second, token by token."""
    a = torch.einsum("bte,eir->btir", weights, torch.stack([one["a"] for one in parts]))
    b = torch.einsum("bte,ero->btro", weights, torch.stack([one["b"] for one in parts]))
    return torch.einsum("bti,btir,btro->bto", x, a, b)


class Merged(Visitor):
    """The mixture written down plainly: at each linear layer, token by token, the sum of what each expert's
    own adapter adds."""

    def __init__(self, made: Made, generation: int) -> None:
        moe = made.moe(generation)
        assert moe.bank.gate is not None
        self.shares = Shares(moe.bank.gate)
        self.modules = [thawed(made.registry, made.base, expert) for expert in made.experts]
        self.parts = [
            {
                layout.module: (layout, form_parts(one.architecture, layout, one.values()))
                for layout in one.layouts
            }
            for one in self.modules
        ]
        self.forms = [one.visitor().form for one in self.modules]

    def enter(self, layer: int, hidden: Tensor) -> None:
        self.shares.enter(layer, hidden)

    def adapt(self, layer: int, module: str, x: Tensor, output: Tensor) -> Tensor | None:
        found = output.clone()
        for slot, (own, form) in enumerate(zip(self.parts, self.forms, strict=True)):
            if module not in own or layer < own[module][0].first:
                continue
            layout, parts = own[module]
            here = {name: value[layer - layout.first] for name, value in parts.items()}
            for row in range(len(x)):
                for token in range(x.shape[1]):
                    one, out = (value[row : row + 1, token : token + 1] for value in (x, output))
                    update = form.apply(one, out.clone(), here) - out
                    found[row, token] += self.shares.weights[row, token, slot] * update[0, 0]
        return found


@torch.no_grad()
@pytest.mark.parametrize("generation", [1, 2, 3])
def test_a_pool_of_every_kind_mixes_as_its_experts_do_one_by_one(made: Made, generation: int) -> None:
    """In a prediction, in training, and written down plainly."""
    base, moe = made.base, made.moe(generation)
    batch = base.batch(base.tokenize(SENTENCES[:3], 8))
    plain = Merged(made, generation)
    wanted = base.forward(batch, plain)
    assert moe.router is not None
    members = [thawed(made.registry, base, expert) for expert in made.experts]
    learning = Mixture(members, moe.router, moe.design.layers, frozen=True).visitor()
    kept = batch.mask.bool()
    assert torch.allclose(base.forward(batch, learning)[kept], wanted[kept], atol=1e-4)
    assert not torch.allclose(base.forward(batch)[kept], wanted[kept], atol=1e-2)
    shares = plain.shares.mean(batch.mask)
    for row, said in enumerate(moe.predict([*SENTENCES[:3]])):
        assert said.label is not None
        if len(base.tokenize([SENTENCES[row]], 64)[0].ids) <= 8:
            assert [*said.weights.values()] == pytest.approx(shares[row].tolist(), abs=1e-4)


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_a_batch_is_answered_like_each_text_alone(made: Made, generation: int) -> None:
    moe = made.moe(generation)
    texts = [*SENTENCES, "", "The moon", ("The moon", "is not a film")]
    together = moe.predict(texts)
    alone = [one for text in texts for one in moe.predict([text])]
    for one, other in zip(together, alone, strict=True):
        assert (one.text, one.expert, one.label) == (other.text, other.expert, other.label)
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)
        assert one.mixed == pytest.approx(other.mixed, abs=1e-4)
        assert dict(one.weights) == pytest.approx(dict(other.weights), abs=1e-4)


def test_all_experts_are_named_with_their_mean_weights_and_one_head_answers(made: Made) -> None:
    for one in made.moe().predict(SENTENCES):
        assert sum(one.mixed.values()) == pytest.approx(1, abs=1e-5)
        assert [*one.mixed.values()] == sorted(one.mixed.values(), reverse=True)
        assert {name: pytest.approx(one.weights[name[:5]]) for name in one.mixed} == one.mixed
        assert one.expert == next(iter(one.mixed))
        assert [*one.probabilities] == [*made.registry.expert(one.expert).labels]
        assert (one.generation, one.reason, one.score) == ("router@1", None, None)
        best, second, *_ = one.mixed.values()
        assert one.margin == pytest.approx(best - second, abs=1e-6)


def test_a_named_expert_answers_alone_whatever_the_gate_would_say(made: Made) -> None:
    alone = MoE.load(made.registry, expert="task3", base=made.base).predict(SENTENCES)
    found = made.moe().predict(SENTENCES, expert="task3")
    assert [(one.label, one.mixed) for one in found] == [(one.label, {}) for one in alone]
    for one, other in zip(found, alone, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)


def test_nobody_says_how_many_answer_where_all_mix(made: Made) -> None:
    for wish in ({"top_k": 2}, {"fallback": "top-k"}, {"fallback": "abstain"}):
        with pytest.raises(InvalidSettingError, match="all experts answer together here: leave out top-k"):
            made.moe().predict(SENTENCES, **wish)


def test_too_little_room_for_all_experts_is_said_in_one_line(made: Made) -> None:
    size = made.moe().bank.shelf("low_rank").size
    with pytest.raises(InvalidSettingError, match="experts at once, with room for"):
        made.moe(budget=size).predict(SENTENCES[:1])


class Watching(Visitor):
    def __init__(self, gate: Gate) -> None:
        self.shares = Shares(gate)

    def enter(self, layer: int, hidden: Tensor) -> None:
        self.shares.enter(layer, hidden)


@torch.no_grad()
def test_padding_and_company_never_matter_to_a_gate(made: Made) -> None:
    own = made.moe(2).bank.gate
    assert own is not None
    found = []
    for texts in (SENTENCES[:1], SENTENCES):
        batch, watching = made.base.batch(made.base.tokenize(texts, 32)), Watching(own)
        made.base.forward(batch, watching)
        found.append(watching.shares.mean(batch.mask)[0])
    assert torch.allclose(*found, atol=1e-5)
