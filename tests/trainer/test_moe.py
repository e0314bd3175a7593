"""The mixture answers a batch like each text alone, and each text like the expert it chose does alone."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from registry import ConflictError, DamagedError, NotFoundError, Registry
from tests.trainer.samples import QUICK, TASKS, texts, write
from trainer import MoE, Prediction, add_task, retrain_router
from trainer.base_model import BaseModel
from trainer.inputs import Text
from trainer.routers import Features
from trainer.visitors import Taps, pool

# No two experts have the same adapter, rank, first layer and length limit.
SETTINGS = {
    "mood": QUICK,
    "pairs": replace(QUICK, adapter="lora", rank=7, first_layer=3, max_length=40),
    "question": replace(QUICK, rank=2, first_layer=1, max_length=24),
}
MIXED: list[Text] = [text for task in TASKS for text in texts(task)]
LONG = "Where is the film number 1? " * 12


@dataclass(frozen=True)
class Made:
    home: Path
    base: BaseModel


@pytest.fixture(scope="module", params=["llama", "bert"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A home with three experts, a one-pass generation and a two-pass one, on each of the base models."""
    base: BaseModel = request.getfixturevalue(request.param)
    folder = tmp_path_factory.mktemp("made")
    with Registry(folder / "home") as registry:
        for task, settings in SETTINGS.items():
            add_task(registry, write(folder, task), base_model=base, settings=settings)
        retrain_router(registry, router="closed_form")
        retrain_router(registry, router="closed_form", passes="two", promote=False)
        retrain_router(registry, router="noisy_top1", promote=False)
    return Made(folder / "home", base)


@pytest.fixture
def registry(made: Made) -> Iterator[Registry]:
    with Registry(made.home) as opened:
        yield opened


def close(one: Prediction, other: Prediction) -> bool:
    """Equal, numbers to 1e-5, scores, which are of any size, to a thousandth."""
    numbers = ("probability", "probabilities", "weights", "margin", "score")
    left, right = ([replace(p, **dict.fromkeys(numbers, None))] for p in (one, other))
    each = zip(
        (one.probability, one.margin, *one.probabilities.values(), *one.weights.values()),
        (other.probability, other.margin, *other.probabilities.values(), *other.weights.values()),
        strict=True,
    )
    keys = (
        one.probabilities.keys() == other.probabilities.keys() and one.weights.keys() == other.weights.keys()
    )
    scores = (one.score is None) == (other.score is None)
    scores = scores and (one.score or 0) == pytest.approx(other.score or 0, rel=1e-3, abs=1e-3)
    return left == right and keys and scores and all(abs(a - b) <= 1e-5 for a, b in each)


def all_close(found: list[Prediction], wanted: list[Prediction]) -> bool:
    return all(close(one, other) for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_a_mixed_batch_is_answered_like_each_text_alone(
    made: Made, registry: Registry, generation: int
) -> None:
    moe = MoE.load(registry, generation, base=made.base)
    together = moe.predict(MIXED)
    alone = [prediction for text in MIXED for prediction in moe.predict([text])]
    assert all_close(together, alone)
    assert len({prediction.task for prediction in together}) == 3


def test_texts_are_answered_in_their_order(made: Made, registry: Registry) -> None:
    moe = MoE.load(registry, base=made.base)
    assert [one.text for one in moe.predict(MIXED)] == [
        text if isinstance(text, str) else text[0] for text in MIXED
    ]
    assert all_close(moe.predict(MIXED[::-1])[::-1], moe.predict(MIXED))


def test_no_texts_get_no_answers(made: Made, registry: Registry) -> None:
    assert MoE.load(registry, base=made.base).predict([]) == []


@pytest.mark.parametrize("task", SETTINGS)
def test_an_expert_answers_in_any_pool_as_it_does_alone(made: Made, registry: Registry, task: str) -> None:
    asked = [*MIXED, LONG, (LONG, LONG)]
    alone = MoE.load(registry, expert=task, base=made.base).predict(asked)
    pool = MoE.load(registry, base=made.base)
    assert all_close(pool.predict(asked, expert=task), alone)
    assert all_close(pool.predict(asked, expert=f"{task}@1"), alone)
    assert {one.expert for one in alone} == {f"{task}@1"}
    assert {(one.generation, one.margin) for one in alone} == {(None, 1.0)}
    assert all(one.weights == {task: 1.0} for one in alone)


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_a_routed_text_gets_the_answer_of_its_expert_alone(
    made: Made, registry: Registry, generation: int
) -> None:
    asked = [*MIXED, LONG]
    routed = MoE.load(registry, generation, base=made.base).predict(asked)
    for name in {one.expert for one in routed}:
        places = [place for place, one in enumerate(routed) if one.expert == name]
        alone = MoE.load(registry, expert=name, base=made.base).predict([asked[place] for place in places])
        for place, one in zip(places, alone, strict=True):
            fields = ("weights", "margin", "generation", "score", "threshold")
            way = {field: getattr(routed[place], field) for field in fields}
            assert close(replace(one, **way), routed[place])


@torch.no_grad()
def test_one_pass_routes_as_two_explicit_steps_do(made: Made, registry: Registry) -> None:
    moe = MoE.load(registry, 1, base=made.base)
    assert (moe.design.passes, moe.design.layers) == ("one", (1,))
    assert moe.router is not None
    for text, found in zip(MIXED, moe.predict(MIXED), strict=True):
        pair = (text, None) if isinstance(text, str) else text
        batch = made.base.batch(made.base.tokenize([pair], moe.design.max_length))
        taps = Taps(moe.design.layers)
        made.base.forward_to(max(moe.design.layers), batch, taps)
        states = torch.stack([pool(taps.states[layer], batch.mask) for layer in moe.design.layers], 1)
        routing = moe.router(Features(states, [pair[0] if pair[1] is None else f"{pair[0]}\n{pair[1]}"]))
        expert = moe.experts[int(routing.slots)]
        [answer] = moe.predict([text], expert=expert.name)
        weights = dict(zip(SETTINGS, routing.weights[0, 0].tolist(), strict=True))
        way = {"weights": weights, "margin": routing.margin.item(), "generation": "router@1"}
        assert close(replace(answer, **way, score=found.score, threshold=found.threshold), found)


def test_two_passes_read_the_final_states_of_the_base_model(made: Made, registry: Registry) -> None:
    moe = MoE.load(registry, 2, base=made.base)
    assert (moe.design.passes, moe.design.layers) == ("two", (made.base.layers,))
    assert {one.generation for one in moe.predict(MIXED)} == {"router@2"}


def test_a_prediction_says_how_it_came_about(made: Made, registry: Registry) -> None:
    for one in MoE.load(registry, base=made.base).predict(MIXED):
        assert list(one.weights) == ["mood", "pairs", "question"]
        assert one.task == max(one.weights, key=lambda task: one.weights[task])
        assert sum(one.weights.values()) == pytest.approx(1.0, abs=1e-5)
        ordered = sorted(one.weights.values(), reverse=True)
        assert one.margin == pytest.approx(ordered[0] - ordered[1], abs=1e-6)
        assert sum(one.probabilities.values()) == pytest.approx(1.0, abs=1e-5)
        assert one.probability == max(one.probabilities.values()) == one.probabilities[one.label]
        assert tuple(one.probabilities) == registry.expert(one.expert).labels
        assert (one.generation, one.cut) == ("router@1", False)


def test_a_text_that_its_expert_could_not_read_whole_is_marked_as_cut(made: Made, registry: Registry) -> None:
    moe = MoE.load(registry, base=made.base)
    assert [one.cut for one in moe.predict([LONG, "Where is the film?"])] == [True, False]
    # More than the 24 tokens that `question` reads, less than the 40 of `pairs`.
    between = "," * 30
    cut = {task: moe.predict([between], expert=task)[0].cut for task in SETTINGS}
    assert cut["question"]
    assert not cut["pairs"]


def test_the_second_text_of_a_pair_matters(made: Made, registry: Registry) -> None:
    moe = MoE.load(registry, expert="pairs", base=made.base)
    with_pair, other, without = moe.predict(
        [
            ("2 films cost 2 coins", "2 films cost 2 coins"),
            ("2 films cost 2 coins", "9 soups"),
            "2 films cost 2 coins",
        ]
    )
    assert with_pair.probabilities != other.probabilities != without.probabilities


def test_predicting_twice_gives_the_same_bits(made: Made, registry: Registry) -> None:
    moe = MoE.load(registry, base=made.base)
    assert moe.predict(MIXED) == moe.predict(MIXED)
    assert MoE.load(registry, base=made.base).predict(MIXED) == moe.predict(MIXED)


def test_an_expert_outside_the_pool_is_refused_with_those_in_it(made: Made, registry: Registry) -> None:
    moe = MoE.load(registry, base=made.base)
    with pytest.raises(NotFoundError) as refusal:
        moe.predict(["a text"], expert="moood")
    assert str(refusal.value) == (
        "expert 'moood' is not in this pool; it holds mood@1, pairs@1, question@1. Did you mean 'mood'?"
    )


def test_unknown_names_are_refused(made: Made, registry: Registry) -> None:
    with pytest.raises(NotFoundError, match="moood"):
        MoE.load(registry, expert="moood", base=made.base)
    with pytest.raises(NotFoundError, match="mood@9"):
        MoE.load(registry, expert="mood@9", base=made.base)
    with pytest.raises(NotFoundError, match="9"):
        MoE.load(registry, 9, base=made.base)


def test_another_base_model_is_refused(
    made: Made, registry: Registry, llama: BaseModel, bert: BaseModel
) -> None:
    other = bert if made.base is llama else llama
    for ask in ({"generation": 1}, {"expert": "mood"}):
        with pytest.raises(ConflictError, match="is not the one these experts stand on"):
            MoE.load(registry, base=other, **ask)


def test_a_folder_whose_weights_changed_is_another_base_model(
    tmp_path: Path, home: Path, tiny_llama_folder: Path
) -> None:
    folder = Path(shutil.copytree(tiny_llama_folder, tmp_path / "base"))
    with Registry(home) as registry:
        add_task(registry, write(tmp_path, "mood"), base_model=str(folder), settings=QUICK, device="cpu")
        weights = folder / "model.safetensors"
        content = bytearray(weights.read_bytes())
        content[-2] ^= 1
        weights.write_bytes(content)
        with pytest.raises(ConflictError, match="its weights, config and tokenizer unchanged"):
            MoE.load(registry, expert="mood", device="cpu")


def test_without_a_generation_the_next_command_is_named(tmp_path: Path, home: Path, llama: BaseModel) -> None:
    with Registry(home) as registry:
        with pytest.raises(NotFoundError) as refusal:
            MoE.load(registry, base=llama)
        assert str(refusal.value) == "There is no router yet. Run `registry retrain-router`."
        add_task(registry, write(tmp_path, "mood"), base_model=llama, settings=QUICK)
        with pytest.raises(NotFoundError, match="retrain-router"):
            MoE.load(registry, base=llama)


def damage(home: Path, sha256: str, how: str) -> None:
    [blob] = home.rglob(f"{sha256}*")
    content = bytearray(blob.read_bytes())
    blob.chmod(0o600)
    content[-2] ^= 1
    blob.unlink()
    if how != "missing":
        blob.write_bytes(content if how == "flipped" else content[:-40])


@pytest.mark.parametrize("how", ["flipped", "short", "missing"])
def test_a_damaged_router_answers_nothing(made: Made, tmp_path: Path, how: str) -> None:
    home = Path(shutil.copytree(made.home, tmp_path / "copy"))
    with Registry(home) as registry:
        damage(home, registry.generation("router@1").sha256, how)
        with pytest.raises(DamagedError):
            MoE.load(registry, base=made.base)
        assert MoE.load(registry, expert="mood", base=made.base).predict(["a text"])


@pytest.mark.parametrize("how", ["flipped", "short", "missing"])
def test_a_damaged_expert_stops_only_texts_that_are_sent_to_it(made: Made, tmp_path: Path, how: str) -> None:
    home = Path(shutil.copytree(made.home, tmp_path / "copy"))
    with Registry(home) as registry:
        wanted = MoE.load(registry, base=made.base).predict(MIXED)
        others = [place for place, one in enumerate(wanted) if one.task != "mood"]
        damage(home, registry.expert("mood@1").sha256, how)
        moe = MoE.load(registry, base=made.base)
        with pytest.raises(DamagedError, match="mood@1 cannot answer"):
            moe.predict(MIXED)
        with pytest.raises(DamagedError, match="mood@1 cannot answer"):
            MoE.load(registry, expert="mood", base=made.base).predict(["a text"])
        given = moe.predict([MIXED[place] for place in others])
        assert all_close(given, [wanted[place] for place in others])


def test_what_comes_before_a_damaged_expert_is_answered(made: Made, tmp_path: Path) -> None:
    home = Path(shutil.copytree(made.home, tmp_path / "copy"))
    with Registry(home) as registry:
        moe = MoE.load(registry, base=made.base)
        wanted = sorted(zip(moe.predict(MIXED), MIXED, strict=True), key=lambda one: one[0].task == "mood")
        before = [one for one, _ in wanted if one.task != "mood"]
        damage(home, registry.expert("mood@1").sha256, "flipped")
        given = []
        with pytest.raises(DamagedError):
            for one in MoE.load(registry, base=made.base).stream([text for _, text in wanted]):
                given.append(one)
        assert all_close(given, before)
