"""Experts that write: what they write, alone and among others."""

import csv
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from registry import Registry
from registry.errors import DamagedError, InvalidSettingError
from tests.trainer.pools import route
from tests.trainer.samples import QUICK, WRITING, write
from tests.trainer.tasks.samples import FILES
from tests.trainer.test_fusion import Concatenated
from tests.trainer.test_moe import damage
from trainer import Decoding, MoE, add_task, retrain_router
from trainer.base_model import BaseModel
from trainer.dataset_features import inputs
from trainer.inputs import Input
from trainer.loans import Loan
from trainer.mixes import Mix
from trainer.pipeline.archive import Archive
from trainer.pipeline.routed_pool import RoutedPool
from trainer.pool import Chosen
from trainer.prompts import Prompts
from trainer.tokens import Tokens
from trainer.visitors import Visitor

TEMPLATES = {"plain": None, "framed": "Question: {text}\nAnswer:", "bare": "{text}"}


TEXTS = [line[0] for line in FILES["text_generation"][1::7]]


@dataclass(frozen=True)
class Made:
    home: Path
    base: BaseModel


@pytest.fixture(scope="module")
def made(llama: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A home with three experts that write, behind different templates, one that does not, and routers of
    states in one pass and in two, and of text."""
    folder = tmp_path_factory.mktemp("made")
    with Registry(folder / "home") as registry:
        for place, (name, template) in enumerate(TEMPLATES.items()):
            rows = renamed(folder, name, THINGS_OF[place])
            settings = replace(
                WRITING, template=template, rank=2 + place, adapter=("lora", "tt_lora")[place % 2]
            )
            add_task(registry, rows, base_model=llama, settings=settings)
        add_task(registry, write(folder, "mood"), base_model=llama, settings=QUICK)
        retrain_router(registry, router="closed_form", promote=False)
        retrain_router(registry, router="lexical", promote=False)
        retrain_router(registry, router="closed_form", passes="two", promote=False)
        # One that is sure of nothing, so that several experts have a share of a text.
        route(registry, llama, registry.experts(), texts_of())
    return Made(folder / "home", llama)


THINGS_OF = ("Say it of the", "Tell me of a", "What of the")


def renamed(folder: Path, name: str, start: str) -> Path:
    """The rows of the kind, in words of their own."""
    path = folder / f"{name}.csv"
    header, *lines = FILES["text_generation"]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [header, *([line[0].replace(THINGS_OF[0], start), line[1]] for line in lines)]
        )
    return path


@pytest.fixture
def registry(made: Made) -> Iterator[Registry]:
    with Registry(made.home) as opened:
        yield opened


def texts_of(count: int = 5) -> list[str]:
    """Of every task, of different lengths."""
    long = " which was seen by many people in the town"
    own = [text.replace(THINGS_OF[0], start) for start in THINGS_OF for text in TEXTS[:count]]
    return [*own, *(text + long for text in own[::4]), "The film was lovely.", "The soup was awful."]


def step_by_step(moe: MoE, text: str, limit: int) -> tuple[str, bool]:
    """What the one expert of a pool writes, each token by a forward of its own over all before it."""
    prompt = Prompts.of(moe.base, moe.bank.members[0].architecture).read(Input(text))
    with Loan(moe.bank) as loan:
        loan.take([0])
        return token_by_token(moe.base, prompt, Chosen(loan), limit)


@torch.no_grad()
def token_by_token(base: BaseModel, prompt: Tokens, visitor: Visitor, limit: int) -> tuple[str, bool]:
    written = list[int]()
    while len(written) < limit:
        ids = [*prompt.ids, *written]
        final = base.forward(base.batch([Tokens(ids, [0] * len(ids), False)]), visitor)
        token = int(base.words.logits(final[0, -1]).argmax())
        if token == base.end:
            return base.spell(written), prompt.cut
        written.append(token)
    return base.spell(written), True


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_batch_that_keeps_what_it_read_writes_what_forwards_from_the_beginning_write(
    made: Made, registry: Registry, name: str
) -> None:
    moe = MoE.load(registry, expert=name, base=made.base)
    config = moe.bank.members[0].architecture.task_config
    assert config["template"] == (TEMPLATES[name] or "{text}\n")
    for decoding, limit in ((Decoding(), config["max_new_tokens"]), (Decoding(max_new_tokens=3), 3)):
        found = moe.predict(texts_of(), decoding=decoding)
        expected = [step_by_step(moe, text, limit) for text in texts_of()]
        assert [(one.label, one.cut) for one in found] == expected
        assert len({one.label for one in found}) > 3
    assert any(cut for _, cut in expected)


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_a_mixed_batch_is_answered_like_each_text_alone_and_by_its_expert(
    made: Made, registry: Registry, generation: int
) -> None:
    moe = MoE.load(registry, generation, base=made.base)
    together = moe.predict(texts_of(), top_k=1)
    assert {one.task for one in together} == {*TEMPLATES, "mood"}
    for text, one in zip(texts_of(), together, strict=True):
        [alone] = moe.predict([text], top_k=1)
        assert (alone.label, alone.expert, alone.cut) == (one.label, one.expert, one.cut)
        assert dict(alone.weights) == pytest.approx(dict(one.weights), abs=1e-4)
        [asked] = MoE.load(registry, expert=one.expert, base=made.base).predict([text])
        assert (asked.label, asked.cut) == (one.label, one.cut)


@pytest.mark.parametrize("top_k", [2, 3])
def test_several_experts_write_what_their_loras_side_by_side_write(
    made: Made, registry: Registry, top_k: int
) -> None:
    """Behind the template of the one that counts most, and not what the mean of their factors writes."""
    moe = MoE.load(registry, 4, base=made.base)
    found = moe.predict(texts_of(), top_k=top_k)
    best = moe.predict(texts_of(), top_k=1)
    slots = {expert.name: slot for slot, expert in enumerate(moe.experts)}
    differs, averages = 0, 0
    for text, one, first in zip(texts_of(), found, best, strict=True):
        if first.task == "mood":
            assert not one.mixed
            continue
        mix = Mix(tuple(slots[name] for name in one.mixed), tuple(one.mixed.values()))
        assert len(mix.slots) == top_k
        assert one.expert == first.expert == next(iter(one.mixed))
        prompts = Prompts.of(made.base, moe.bank.members[mix.slots[0]].architecture)
        prompt = prompts.read(Input(text))
        with Loan(moe.bank) as loan:
            loan.take_mixed([mix])
            said = token_by_token(made.base, prompt, Concatenated(loan, mix), prompts.limit)
            averaged = Concatenated(loan, mix, averaged=True)
            averages += token_by_token(made.base, prompt, averaged, prompts.limit) != said
        assert (one.label, one.cut) == said
        [alone] = moe.predict([text], top_k=top_k)
        assert (alone.label, alone.cut) == said
        assert alone.mixed == pytest.approx(one.mixed, abs=1e-4)
        differs += one.label != first.label
    assert min(differs, averages) > 2


def test_a_damaged_expert_that_writes_stops_only_the_texts_that_are_sent_to_it(
    made: Made, tmp_path: Path
) -> None:
    with Registry(made.home) as registry:
        wanted = MoE.load(registry, 1, base=made.base).predict(texts_of(), top_k=1)
    for name in ("plain", "framed"):
        home = Path(shutil.copytree(made.home, tmp_path / name))
        with Registry(home) as registry:
            damage(home, registry.expert(name).sha256, "flipped")
            moe = MoE.load(registry, 1, base=made.base)
            others = [one for one in wanted if one.task != name]
            assert {one.task for one in others} == {*TEMPLATES, "mood"} - {name}
            found = moe.predict([one.text for one in others], top_k=1)
            assert [one.label for one in found] == [one.label for one in others]
            told = moe.stream([*[one.text for one in others], texts_of()[0], texts_of()[5]], top_k=1)
            before = []
            with pytest.raises(DamagedError, match=f"^{name}@1 cannot answer: .+") as refusal:
                for one in told:
                    before.append(one.label)
            assert before[: len(others)] == [one.label for one in others]
            assert len(before) == len(others) + ["plain", "framed"].index(name)
            assert str(refusal.value).isprintable()
            with pytest.raises(DamagedError, match=f"{name}@1 cannot answer"):
                MoE.load(registry, 1, base=made.base).predict(texts_of()[:1], expert=name)


def test_what_is_read_on_the_way_to_the_router_is_not_read_again(
    made: Made, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the default template; behind one that puts words before the text the prompt is read anew."""
    moe = MoE.load(registry, 1, base=made.base)
    lengths: list[int] = []
    run = made.base.model.forward

    def watched(*given: object, **named: torch.Tensor) -> object:
        lengths.append(named["input_ids"].shape[1])
        return run(*given, **named)

    monkeypatch.setattr(made.base.model, "forward", watched)
    for name, start in zip(TEMPLATES, THINGS_OF, strict=True):
        text = TEXTS[0].replace(THINGS_OF[0], start)
        [one] = moe.predict([text], top_k=1)
        assert one.task == name
        assert sum(length > 2 for length in lengths) == (2 if name == "framed" else 1)
        lengths.clear()


def test_routing_at_prefill_is_that_of_the_archive(made: Made, registry: Registry) -> None:
    """Features on record are of texts alone, and give the weights that a prediction has."""
    archive = Archive(registry, "cpu")
    pool = RoutedPool.frozen(archive, registry.generation("router@1"))
    moe = MoE.load(registry, 1, base=made.base)
    for slot, expert in enumerate(pool.experts):
        rows = archive.rows(expert)
        places = rows.places("validation", "test")
        weights = pool.routing(rows, places).weights[:, 0, slot].tolist()
        found = [one.weights[expert.task] for one in moe.predict(inputs(rows.take(places)), top_k=1)]
        assert found == pytest.approx(weights, abs=1e-4)


def test_what_is_drawn_depends_on_seed_and_text_alone(made: Made, registry: Registry) -> None:
    moe = MoE.load(registry, 1, base=made.base)
    hot = Decoding(temperature=1.5, top_p=0.9, seed=7)
    first = [one.label for one in moe.predict(texts_of(), top_k=1, decoding=hot)]
    assert first == [one.label for one in moe.predict(texts_of(), top_k=1, decoding=hot)]
    assert first == [moe.predict([text], top_k=1, decoding=hot)[0].label for text in texts_of()]
    assert first != [one.label for one in moe.predict(texts_of(), top_k=1, decoding=replace(hot, seed=8))]
    likely = [one.label for one in moe.predict(texts_of(), top_k=1)]
    assert likely == [
        one.label for one in moe.predict(texts_of(), top_k=1, decoding=Decoding(temperature=1, top_p=1e-9))
    ]


def test_nothing_is_written_beyond_the_last_position(
    made: Made, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    moe = MoE.load(registry, expert="plain", base=made.base)
    monkeypatch.setattr(made.base, "max_positions", 40)
    given = ["Say it of the film", "Say it of the film and the room."]
    for text, one in zip(given, moe.predict(given, decoding=Decoding(max_new_tokens=4_000)), strict=True):
        room = 40 - len(made.base.pieces(f"{text}\n"))
        assert (one.label, one.cut) == step_by_step(moe, text, room)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"temperature": -0.1}, "temperature -0.1 must be from 0 to 10"),
        ({"temperature": 11.0}, "temperature 11 must be from 0 to 10"),
        ({"temperature": float("nan")}, "temperature nan must be from 0 to 10"),
        ({"temperature": 1.0, "top_p": 0.0}, "top-p 0 must be above 0, and 1 at most"),
        ({"temperature": 1.0, "top_p": 1.5}, "top-p 1.5 must be above 0, and 1 at most"),
        ({"top_p": 0.5}, "top-p 0.5 needs a temperature above 0: without one nothing is drawn"),
        ({"max_new_tokens": 0}, "max new tokens 0 must be from 1 to 4,096"),
        ({"seed": -1}, "seed -1 must be from 0 to 2147483647"),
    ],
)
def test_a_way_to_write_that_is_none_is_refused(given: dict[str, float], why: str) -> None:
    with pytest.raises(InvalidSettingError) as caught:
        Decoding(**given)  # type: ignore[arg-type]
    assert str(caught.value) == why


def test_choices_and_templates_where_they_have_no_place_are_refused(
    made: Made, registry: Registry, tmp_path: Path
) -> None:
    moe = MoE.load(registry, expert="plain", base=made.base)
    with pytest.raises(InvalidSettingError, match="plain@1 does not take choices: leave them out"):
        moe.predict([Input("Which?", choices=("a", "b"))])
    settings = replace(QUICK, template="{text}\n")
    with pytest.raises(InvalidSettingError, match="a template is for tasks whose answers are written"):
        add_task(registry, write(tmp_path, "mood"), name="other", base_model=made.base, settings=settings)
