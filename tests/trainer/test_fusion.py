"""Several experts of one text: their updates add up by weight, layer by layer, beside texts with one expert
or none."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from registry import DamagedError, Expert, Registry
from registry.errors import InvalidSettingError
from tests.tiny_models import SENTENCES
from tests.trainer.pools import publish, route
from tests.trainer.test_bank import DESIGNS
from tests.trainer.test_moe import damage
from trainer import kinds
from trainer.base_model import BaseModel
from trainer.loans import Loan
from trainer.mixes import NOBODY, Mix
from trainer.moe import MoE
from trainer.pool import Chosen
from trainer.visitors import Visitor

MIXES = [
    Mix((0, 1), (0.75, 0.25)),
    Mix.alone(2),
    NOBODY,
    Mix((3, 5, 4), (0.5, 0.3, 0.2)),
    Mix((1, 2, 0), (0.4, 0.35, 0.25)),
    Mix.alone(5),
]


@dataclass(frozen=True)
class Made:
    registry: Registry
    base: BaseModel
    experts: list[Expert]

    def moe(self, **options: int) -> MoE:
        return MoE.load(self.registry, 1, base=self.base, **options)


@pytest.fixture(scope="module", params=["llama", "bert"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    base: BaseModel = request.getfixturevalue(request.param)
    with Registry(tmp_path_factory.mktemp("fusion") / "home") as registry:
        experts = [publish(registry, base, f"task{seed}", seed, **own) for seed, own in enumerate(DESIGNS)]
        route(registry, base, experts, SENTENCES)
        yield Made(registry, base, experts)


class Concatenated(Visitor):
    """One LoRA as wide as all experts of a mix together: `[a_1 .. a_k] [w_1 b_1; ..; w_k b_k]`; or, to show
    that it is another thing, the mean of the `a` times the mean of the `b`."""

    def __init__(self, loan: Loan, mix: Mix, *, averaged: bool = False) -> None:
        places = [loan.residents[slot].place for slot in mix.slots]
        self.parts = list(zip(places, mix.weights, strict=True))
        self.shelf, self.averaged = loan.bank.shelf("low_rank"), averaged

    def adapt(self, layer: int, module: str, x: Tensor, output: Tensor) -> Tensor | None:
        each = [(self.shelf.take(layer, module, place), weight) for place, weight in self.parts]
        known = [(parts, weight) for parts, weight in each if parts is not None]
        if not known:
            return output
        if self.averaged:
            a = sum(weight * parts["a"] for parts, weight in known)
            return output + x @ a @ sum(weight * parts["b"] for parts, weight in known)
        wide = torch.cat([parts["a"] for parts, _ in known], 1)
        return output + x @ wide @ torch.cat([weight * parts["b"] for parts, weight in known])


@torch.no_grad()
def test_a_mix_is_the_concatenated_lora_and_not_the_mean_of_its_factors(made: Made) -> None:
    base = made.base
    texts = SENTENCES[: len(MIXES)]
    with Loan(made.moe().bank) as loan:
        loan.take_mixed(MIXES)
        mixed = base.forward(base.batch(base.tokenize(texts, 32)), Chosen(loan))
        for row, mix in enumerate(MIXES):
            own = base.batch(base.tokenize(texts[row : row + 1], 32))
            alone = base.forward(own, Concatenated(loan, mix))
            assert torch.allclose(mixed[row, : alone.shape[1]], alone[0], atol=1e-5)
            assert torch.allclose(alone, base.forward(own), atol=1e-3) == (mix == NOBODY)
            averaged = base.forward(own, Concatenated(loan, mix, averaged=True))
            assert torch.allclose(averaged, alone, atol=1e-3) == (len(mix.slots) < 2)


@torch.no_grad()
def test_texts_with_one_expert_have_the_same_bits_beside_mixes(made: Made) -> None:
    base = made.base
    batch = base.batch(base.tokenize(SENTENCES[:4], 32))
    alone, beside = ([Mix.alone(slot) for slot in range(4)] for _ in range(2))
    beside[1] = Mix((1, 2), (0.5, 0.5))
    found = []
    for mixes in (alone, beside):
        with Loan(made.moe().bank) as loan:
            loan.take_mixed(mixes)
            found.append(base.forward(batch, Chosen(loan)))
    same = [torch.equal(one, other) for one, other in zip(*found, strict=True)]
    assert same == [True, False, True, True]


def test_the_heads_vote_by_weight(made: Made) -> None:
    moe = made.moe()
    for one in moe.predict(SENTENCES, top_k=2):
        assert list(one.mixed) == [
            f"{name}@1" for name in sorted(one.weights, key=lambda n: -one.weights[n])[:2]
        ]
        assert sum(one.mixed.values()) == pytest.approx(1, abs=1e-6)
        assert one.expert == next(iter(one.mixed))
        assert sum(one.probabilities.values()) == pytest.approx(1, abs=1e-5)
        # Each of the two has labels of its own, whose probabilities add up to its weight.
        for name, weight in one.mixed.items():
            own = sum(one.probabilities[label] for label in made.registry.expert(name).labels)
            assert own == pytest.approx(weight, abs=1e-5)
        assert one.label == max(one.probabilities, key=lambda label: one.probabilities[label])
        assert one.reason is None
        assert one.score is None


@pytest.mark.parametrize("places", [2, 3, 6])
def test_a_batch_is_answered_like_each_text_alone_however_little_room_there_is(
    made: Made, places: int
) -> None:
    size = made.moe().bank.shelf("low_rank").size
    few = made.moe(budget=places * size)
    together = few.predict(SENTENCES, top_k=2)
    alone = [one for text in SENTENCES for one in made.moe().predict([text], top_k=2)]
    for one, other in zip(together, alone, strict=True):
        assert (one.text, one.expert, one.label, one.cut) == (
            other.text,
            other.expert,
            other.label,
            other.cut,
        )
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
        assert one.mixed == pytest.approx(other.mixed, abs=1e-5)


def test_one_expert_of_a_mix_is_the_ordinary_answer(made: Made) -> None:
    assert made.moe().predict(SENTENCES, top_k=1) == made.moe().predict(SENTENCES)


def test_more_experts_than_there_is_room_for_are_refused_in_one_line(made: Made) -> None:
    few = made.moe(budget=2 * made.moe().bank.shelf("low_rank").size)
    with pytest.raises(InvalidSettingError, match="3 experts at once, with room for 2"):
        few.predict(SENTENCES[:1], top_k=3)


def test_a_named_expert_takes_no_wish_how_many_answer(made: Made) -> None:
    for wish in ({"top_k": 2}, {"fallback": "top-k"}):
        with pytest.raises(InvalidSettingError, match="an expert that is named answers alone"):
            made.moe().predict(SENTENCES, expert="task0", **wish)


def test_a_damaged_expert_stops_the_texts_it_would_have_a_share_in(
    llama: BaseModel, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("damaged") / "home"
    with Registry(home) as registry:
        experts = [publish(registry, llama, f"task{seed}", seed) for seed in range(3)]
        route(registry, llama, experts, SENTENCES)
        wanted = MoE.load(registry, base=llama).predict(SENTENCES, top_k=2)
        damage(home, experts[1].sha256, "flipped")
        moe = MoE.load(registry, base=llama)
        seen = set()
        for one in wanted:
            if "task1@1" in one.mixed:
                with pytest.raises(DamagedError, match="task1@1 cannot answer"):
                    moe.predict([one.text], top_k=2)
            else:
                assert moe.predict([one.text], top_k=2)[0].label == one.label
            seen.add("task1@1" in one.mixed)
        assert seen == {True, False}


def test_every_task_kind_says_something_together() -> None:
    assert all(hasattr(module, "combine") for module in kinds.load_all("tasks").values())
