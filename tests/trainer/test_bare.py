"""Where no expert fits, and it is asked for: the bare base model answers by itself, beside experts."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from registry import Registry
from registry.errors import InvalidSettingError
from tests.trainer.pipeline.test_abstaining import close
from tests.trainer.samples import QUICK, texts, write
from tests.trainer.tasks.samples import FILES
from tests.trainer.tasks.samples import write as write_kind
from trainer import Decoding, MoE, add_task, retrain_router
from trainer.bare import LIMIT, bare_prompts
from trainer.base_model import BaseModel
from trainer.inputs import Given, Input

CHAT = (
    "{{ '<|start|>system\nBe short.\n' }}{% for one in messages %}{{ one['role'] + '\n' + one['content'] + "
    "'\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant\n' }}{% endif %}"
)
SETTINGS = replace(QUICK, max_length=64, epochs=1)
STRANGE = ["zq 9917 {}[] ;; qqqq", "Shares of the bank fell 3 percent after the report.", "000"]
CHOOSING = [
    *(Input(line[0], choices=tuple(line[1:-1])) for line in FILES["multiple_choice"][1::9]),
    Input("zq 9917 {}[] ;;", choices=("qq qq", "00 [] 00")),
]
WAYS = {"one pass": {}, "two passes": {"passes": "two"}, "text": {"router": "lexical"}}


@dataclass(frozen=True)
class Made:
    home: Path
    base: BaseModel


@pytest.fixture(scope="module")
def made(llama: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A home with experts that label, choose and write, and generations that half of the known rows fit."""
    folder = tmp_path_factory.mktemp("bare")
    with Registry(folder / "home") as registry:
        paths = [write(folder, "mood"), write(folder, "pairs")]
        paths += [write_kind(folder, kind) for kind in ("multiple_choice", "text_generation")]
        for path in paths:
            add_task(registry, path, base_model=llama, settings=SETTINGS)
        for way in WAYS.values():
            retrain_router(registry, **{"router": "closed_form", "coverage": 0.5, "promote": False, **way})
    return Made(folder / "home", llama)


@pytest.fixture
def registry(made: Made) -> Iterator[Registry]:
    with Registry(made.home) as opened:
        yield opened


def asked() -> list[Given]:
    written = [line[0] for line in FILES["text_generation"][1::7]]
    return [*STRANGE, *texts("mood"), *texts("pairs"), *CHOOSING, *written]


def chatting(base: BaseModel, monkeypatch: pytest.MonkeyPatch, template: str | None) -> None:
    monkeypatch.setattr(base.tokenizer, "chat_template", template)


@torch.no_grad()
def generated(base: BaseModel, folder: Path, ids: list[int], limit: int) -> tuple[str, bool]:
    """What the plain causal model writes, and whether it was to go on."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    given = torch.tensor([ids])
    found = model.generate(
        given, attention_mask=torch.ones_like(given), do_sample=False, max_new_tokens=limit
    )[0, len(ids) :].tolist()
    ended = base.end in found
    return base.spell(found[: found.index(base.end)] if ended else found), not ended


@pytest.mark.parametrize("template", [None, CHAT], ids=["plain", "chat"])
def test_it_writes_what_the_plain_causal_model_writes(
    made: Made,
    registry: Registry,
    tiny_llama_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    template: str | None,
) -> None:
    chatting(made.base, monkeypatch, template)
    moe = MoE.load(registry, 1, base=made.base)
    silent = moe.predict(asked())
    found = moe.predict(asked(), fallback="base", decoding=Decoding(max_new_tokens=9))
    bare = 0
    for given, one, before in zip(asked(), found, silent, strict=True):
        if before.expert is not None:
            assert one.base_model is None
            assert (one.expert, one.reason) == (before.expert, None)
            continue
        words = Input.of(given).words
        if template is None:
            ids = made.base.pieces(words)
        else:
            chat = [{"role": "user", "content": words}]
            said = made.base.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
            ids = made.base.pieces(said)
        label, cut = generated(made.base, tiny_llama_folder, ids, 9)
        assert (one.label, one.cut) == (label, cut)
        assert one == replace(before, label=label, cut=cut, base_model=made.base.record.name)
        assert one.reason is not None
        bare += 1
    assert 3 < bare < len(found) - 3


@pytest.mark.parametrize("template", [None, CHAT], ids=["plain", "chat"])
@pytest.mark.parametrize("generation", range(1, len(WAYS) + 1), ids=[*WAYS])
def test_a_mixed_batch_is_answered_like_each_input_alone(
    made: Made, registry: Registry, monkeypatch: pytest.MonkeyPatch, generation: int, template: str | None
) -> None:
    chatting(made.base, monkeypatch, template)
    moe = MoE.load(registry, generation, base=made.base)
    for how in (Decoding(max_new_tokens=6), Decoding(max_new_tokens=6, temperature=1.2, seed=3)):
        together = moe.predict(asked(), fallback="base", decoding=how)
        alone = [one for given in asked() for one in moe.predict([given], fallback="base", decoding=how)]
        assert all(close(one, other) for one, other in zip(together, alone, strict=True))
        assert {one.base_model for one in together} == {None, made.base.record.name}
        assert {one.label is None for one in together} == {False}


def test_what_was_read_to_find_that_no_expert_fits_is_not_read_again(
    made: Made, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But behind a chat template, which puts words before it."""
    moe = MoE.load(registry, 1, base=made.base)
    [text] = [one.text for one in moe.predict(STRANGE) if one.expert is None][:1]
    lengths: list[int] = []
    run = made.base.model.forward

    def watched(*given: object, **named: torch.Tensor) -> object:
        lengths.append(named["input_ids"].shape[1])
        return run(*given, **named)

    monkeypatch.setattr(made.base.model, "forward", watched)
    for template, read in ((None, 1), (CHAT, 2)):
        chatting(made.base, monkeypatch, template)
        loaded = MoE.load(registry, 1, base=made.base)
        [one] = loaded.predict([text], fallback="base", decoding=Decoding(max_new_tokens=4))
        assert one.base_model is not None
        assert sum(length > 1 for length in lengths) == read
        lengths.clear()


def test_without_a_wish_it_writes_up_to_its_limit(
    made: Made, registry: Registry, tiny_llama_folder: Path
) -> None:
    found = MoE.load(registry, 1, base=made.base).predict(STRANGE, fallback="base")
    for one in found:
        said = generated(made.base, tiny_llama_folder, made.base.pieces(one.text), LIMIT)
        assert (one.label, one.cut) == said
    assert any(one.cut for one in found)


@pytest.mark.parametrize("template", [None, CHAT], ids=["plain", "chat"])
@pytest.mark.parametrize("way", WAYS.values(), ids=[*WAYS])
def test_what_no_expert_can_take_is_left_to_the_base_model(
    made: Made,
    registry: Registry,
    tiny_llama_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: dict[str, str],
    template: str | None,
) -> None:
    """Choices where nobody chooses; texts without, also in pairs, where everybody does."""
    chatting(made.base, monkeypatch, template)
    texts_alone: list[Given] = [*STRANGE, *texts("pairs")[:2]]
    how = {"router": "closed_form", "coverage": 0.5, "promote": False, **way}
    name = made.base.record.name
    for experts, taken, left, kind in (
        (["mood", "pairs"], texts_alone, CHOOSING, "choices"),
        (["multiple_choice"], CHOOSING, texts_alone, "a text without choices"),
    ):
        fitted = retrain_router(registry, experts=experts, **how).generation
        moe = MoE.load(registry, fitted.name, base=made.base)
        for fallback in (None, "abstain", "top-k"):
            with pytest.raises(InvalidSettingError, match=f"no expert of this pool takes {kind}"):
                moe.predict(left, fallback=fallback)
        mixed = [one for pair in zip(taken, left, strict=False) for one in pair]
        short = Decoding(max_new_tokens=6)
        found = moe.predict(mixed, fallback="base", decoding=short)
        assert all(map(close, found[::2], moe.predict(mixed[::2], fallback="base", decoding=short)))
        for given, one in zip(mixed[1::2], found[1::2], strict=True):
            words = Input.of(given).words
            if template is not None:
                chat = [{"role": "user", "content": words}]
                words = made.base.tokenizer.apply_chat_template(
                    chat, tokenize=False, add_generation_prompt=True
                )
            said = generated(made.base, tiny_llama_folder, made.base.pieces(words), 6)
            assert (one.label, one.cut) == said
            assert (one.expert, one.task, one.base_model, one.generation) == (None, None, name, fitted.name)
            assert one.reason == f"no expert fits: none of this pool takes {kind}"
            assert (one.score, one.threshold, one.margin) == (None, None, 0.0)
            assert dict(one.weights) == dict.fromkeys(experts, 0.0)


def test_the_order_of_choices_says_nothing(made: Made, registry: Registry) -> None:
    moe = MoE.load(registry, 1, base=made.base)
    turned = [replace(one, choices=one.choices[::-1]) for one in CHOOSING]
    found = [moe.predict(given, fallback="base") for given in (CHOOSING, turned)]
    pairs = [(one.base_model, one.label) for one in found[0]]
    assert pairs == [(one.base_model, one.label) for one in found[1]]
    assert any(one.base_model for one in found[0])
    prompts = bare_prompts(made.base, 24)
    assert made.base.spell(prompts.read(Input("Why?", choices=("b", "a"))).ids) == "Why?\na\nb"


@pytest.mark.parametrize(
    ("template", "before", "after"),
    [
        (None, "", ""),
        (CHAT, "<|start|>system\nBe short.\nuser\n", "\nassistant\n"),
        # One that refuses, one that leaves the question out, one that says it twice.
        ("{{ raise_exception('no') }}", "", ""),
        ("{{ messages[0]['role'] }}", "", ""),
        ("{{ messages[0]['content'] }}{{ messages[0]['content'] }}", "", ""),
    ],
)
def test_it_is_asked_as_its_chat_template_says(
    llama: BaseModel, monkeypatch: pytest.MonkeyPatch, template: str | None, before: str, after: str
) -> None:
    chatting(llama, monkeypatch, template)
    prompts = bare_prompts(llama, 24)
    assert (prompts.template.before, prompts.template.after) == (before, after)
    assert prompts.goes_on == (not before)
    # However long the text, there is room for an answer.
    whole = bare_prompts(llama, llama.max_positions).read(Input("Who? " * llama.max_positions))
    assert len(whole.ids) == llama.max_positions - 1
    assert whole.cut


def test_an_encoder_cannot_and_says_so(bert: BaseModel, tmp_path: Path) -> None:
    with Registry(tmp_path / "home") as registry:
        for task in ("mood", "pairs"):
            add_task(registry, write(tmp_path, task), base_model=bert, settings=SETTINGS)
        retrain_router(registry, router="closed_form", coverage=0.5)
        moe = MoE.load(registry, base=bert)
        with pytest.raises(InvalidSettingError) as refusal:
            moe.predict(STRANGE, fallback="base")
        assert str(refusal.value) == (
            f"fallback base needs a base model that writes, and {bert.record.name} is an encoder: choose "
            "abstain or top-k"
        )
