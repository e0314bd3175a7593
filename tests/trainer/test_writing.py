"""Experts that write: what they learn from, what they write, alone and among others."""

import csv
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from registry import Registry
from registry.errors import DamagedError, DataRefusedError, InvalidSettingError
from tests.tiny_models import tiny_llama
from tests.trainer.pools import route
from tests.trainer.samples import QUICK, write
from tests.trainer.tasks.samples import FILES
from tests.trainer.tasks.samples import write as write_kind
from tests.trainer.test_fusion import Concatenated
from tests.trainer.test_moe import damage
from trainer import Decoding, MoE, add_task, evaluate, retrain_router, sources
from trainer.base_model import BaseModel
from trainer.data import TaskData, read_task
from trainer.dataset_features import FeatureKey, inputs, known_features
from trainer.encoding import early_layers, encode
from trainer.experts import ExpertModule
from trainer.inputs import Input
from trainer.loans import Loan
from trainer.mixes import Mix
from trainer.pipeline.archive import Archive
from trainer.pipeline.plans import TrainingPlan
from trainer.pipeline.routed_pool import RoutedPool
from trainer.pool import Chosen
from trainer.prompts import Prompts, read_rows
from trainer.state_cache import StateCache
from trainer.templates import Template
from trainer.tokens import Tokens
from trainer.trainee import outputs
from trainer.visitors import Visitor

SETTINGS = replace(QUICK, rank=4, max_length=24, learning_rate=2e-2, epochs=6)
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
                SETTINGS, template=template, rank=2 + place, adapter=("lora", "tt_lora")[place % 2]
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


def test_no_target_is_in_what_routers_read(llama: BaseModel, tmp_path: Path) -> None:
    kept = []
    for targets in ("as it is", "turned"):
        header, *lines = FILES["text_generation"]
        path = tmp_path / "said.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            turn = (lambda text: text) if targets == "as it is" else (lambda text: text[::-1])
            csv.writer(file).writerows([header, *([text, turn(target)] for text, target in lines)])
        with Registry(tmp_path / targets) as registry:
            expert = add_task(registry, path, base_model=llama, settings=replace(SETTINGS, epochs=1)).expert
            dataset = registry.dataset("said")
            wanted = FeatureKey(expert.base_model, dataset.sha256, early_layers(2), 24)
            features = known_features(registry, wanted)
        assert features is not None
        kept.append(features)
    assert torch.equal(*kept)
    alone = encode(llama, [line[0] for line in lines], layers=early_layers(2), max_length=24)
    assert torch.allclose(kept[0], alone.features, atol=1e-5)


def plan_of(base: BaseModel, folder: Path, **settings: object) -> tuple[TrainingPlan, TaskData]:
    data = read_kind(folder)
    return TrainingPlan.settle("said", data, base, replace(SETTINGS, **settings)), data  # type: ignore[arg-type]


def read_kind(folder: Path) -> TaskData:
    from trainer import kinds

    return read_task(write_kind(folder, "text_generation"), kinds.load_all("tasks"))


@pytest.mark.parametrize("template", ["{text}\n", "Question: {text}\nAnswer:"])
def test_the_loss_is_that_of_the_target_alone(
    llama: BaseModel, tiny_llama_folder: Path, tmp_path: Path, template: str
) -> None:
    """As the base model's own language-modelling loss has it when all other tokens are left out."""
    plan, data = plan_of(llama, tmp_path, template=template)
    module = ExpertModule(llama, plan.architecture)
    assert [*module.head.parameters()] == []
    rows = list(data.rows[:9])
    read = read_rows(llama, plan.architecture, rows)
    assert read is not None
    found = outputs(module, encode(llama, inputs(rows), layers=(1,), max_length=24, tokens=read), range(9))
    reference = AutoModelForCausalLM.from_pretrained(tiny_llama_folder, dtype=torch.float32)
    before, after = template.split("{text}")
    for row, tokens, (total, count) in zip(rows, read, found.tolist(), strict=True):
        ids = [*llama.pieces(before), *llama.pieces(row.text), *llama.pieces(after)]
        target = [*llama.pieces(row.values["target"]), llama.end]
        assert tokens == Tokens([*ids, *target], [0] * len(ids + target), False, len(target))
        assert count == len(target)
        labels = torch.tensor([[-100] * len(ids) + target])
        with torch.no_grad():
            loss = reference(input_ids=torch.tensor([ids + target]), labels=labels).loss.item()
        assert total / count == pytest.approx(loss, rel=1e-4)
    kind = module.kind
    assert kind.loss(found, torch.empty(9, 0)).item() == pytest.approx(
        (found[:, 0] / found[:, 1]).mean().item()
    )
    whole = found.sum(0)
    assert kind.fit(found) == {"perplexity": pytest.approx(torch.exp(whole[0] / whole[1]).item(), rel=1e-5)}


def test_the_surprise_and_its_gradient_are_those_of_a_cross_entropy(
    llama: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.unembedding.CHUNK", 4)
    tokens = torch.randint(0, 300, (11,), generator=torch.Generator().manual_seed(0))
    states = torch.randn(11, llama.hidden, generator=torch.Generator().manual_seed(1))
    weights = torch.rand(11)
    found = []
    for surprise in (
        llama.words.surprise,
        lambda own, right: torch.nn.functional.cross_entropy(
            llama.words.logits(own), right, reduction="none"
        ),
    ):
        own = states.clone().requires_grad_()
        value = surprise(own, tokens)
        (value * weights).sum().backward()
        assert own.grad is not None
        found.append((value.detach(), own.grad))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_kept_states_give_the_loss_of_the_whole_model_and_are_told_apart_by_template(
    llama: BaseModel, tmp_path: Path
) -> None:
    with Registry(tmp_path / "home") as registry:
        cache = StateCache.of(registry)
        found = []
        # Templates of as many tokens: the lengths alone would not tell the files apart.
        for template in ("{text}\n", "{text}:", "{text}\n"):
            plan, data = plan_of(llama, tmp_path, template=template)
            module = ExpertModule(llama, plan.architecture, 1)
            common = {
                "layers": (1,),
                "max_length": 24,
                "tokens": read_rows(llama, plan.architecture, data.rows),
            }
            kept = encode(
                llama,
                inputs(data.rows),
                resume_at=2,
                cache=cache,
                dataset_sha256="0",
                form=template,
                **common,
            )
            assert kept.resume_at == 2
            whole = encode(llama, inputs(data.rows), **common)
            own = outputs(module, kept, range(12))
            assert torch.allclose(own, outputs(module, whole, range(12)), rtol=1e-4)
            found.append(own)
        assert len([*(registry.cache / "states").glob("*.states")]) == 2
    assert torch.equal(found[0], found[2])
    assert not torch.allclose(found[0], found[1])


def test_an_expert_learns_to_write_and_its_best_epoch_is_kept(llama: BaseModel, tmp_path: Path) -> None:
    with Registry(tmp_path / "home") as registry:
        settings = replace(SETTINGS, epochs=20, rank=8, learning_rate=3e-2, first_layer=1)
        path = write_kind(tmp_path, "text_generation")
        added = add_task(registry, path, base_model=llama, settings=settings)
        history = registry.run(added.expert.run).history
        assert {*history[-1]} == {"epoch", "loss", "validation_loss", "validation_perplexity"}
        best = min(history, key=lambda one: one["validation_loss"])
        assert best["validation_loss"] < 0.8 * history[0]["validation_loss"]
        assert list(added.metrics["test"]) == ["token_f1", "rouge_l", "exact_match", "perplexity"]
        assert added.metrics["validation"]["perplexity"] == pytest.approx(
            best["validation_perplexity"], rel=1e-4
        )
        report = evaluate(registry, "text_generation", device="cpu")
        assert report.metrics == pytest.approx(added.metrics["test"], rel=1e-4)


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


def test_a_pair_has_its_place_in_the_template(llama: BaseModel, tmp_path: Path) -> None:
    lines = [[f"thing {place}", f"other {place % 7}", f"both {place}"] for place in range(60)]
    (tmp_path / "pairs.csv").write_text("\n".join(map(",".join, [["question", "context", "answer"], *lines])))
    with Registry(tmp_path / "home") as registry:
        settings = replace(SETTINGS, epochs=1)
        for template in ("{text}\n{pair}\n", "{pair}\nQ: {text}"):
            expert = add_task(
                registry,
                tmp_path / "pairs.csv",
                base_model=llama,
                settings=replace(settings, template=template),
            ).expert
            prompts = Prompts.of(
                llama, MoE.load(registry, expert=expert.name, base=llama).bank.members[0].architecture
            )
            read = prompts.read(Input("one", "two"))
            assert llama.spell(read.ids) == template.format(text="one", pair="two").strip()
            assert prompts.goes_on == template.startswith("{text}")
        again = add_task(registry, tmp_path / "pairs.csv", base_model=llama, settings=settings)
        assert (again.created, again.expert.name) == (False, "pairs@1")
        with pytest.raises(InvalidSettingError, match=r"say with \{pair\} where it stands"):
            add_task(
                registry,
                tmp_path / "pairs.csv",
                base_model=llama,
                settings=replace(settings, template="{text}"),
            )


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("no place", "has no {text}"),
        ("{text} {label}", "holds something else in braces"),
        ("{text!r}", "holds something else in braces"),
        ("{text:>9}", "holds something else in braces"),
        ("{}", "holds something else in braces"),
        ("{text} {text}", "names one of its parts twice"),
        ("{text", "cannot be read"),
        ("{text} }", "cannot be read"),
        ("{text}" + "x" * 2_000, "too long"),
    ],
)
def test_a_template_that_is_none_is_refused(template: str, why: str) -> None:
    with pytest.raises(InvalidSettingError) as caught:
        Template.of(template)
    assert why in str(caught.value)
    assert str(caught.value).isprintable()
    with pytest.raises(InvalidSettingError):
        replace(SETTINGS, template=template)


def test_braces_that_are_meant_are_written_twice() -> None:
    template = Template.of('{{"q": "{text}"}}\n')
    assert (template.before, template.after) == ('{"q": "', '"}\n')
    assert template.fill("hello {text}", None) == "hello {text}"


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


def test_an_encoder_is_refused_before_anything_is_computed(bert: BaseModel, tmp_path: Path) -> None:
    with Registry(tmp_path / "home") as registry:
        with pytest.raises(InvalidSettingError) as caught:
            add_task(registry, write_kind(tmp_path, "text_generation"), base_model=bert, settings=QUICK)
        assert str(caught.value).startswith("text_generation needs a decoder, and ")
        assert str(caught.value).endswith(
            " is an encoder: choose one with --base-model, such as smollm2-135m"
        )
        assert not [*registry.cache.rglob("*.states")]
        assert registry.tasks() == []


def test_targets_that_are_too_long_are_refused_and_never_cut(llama: BaseModel, tmp_path: Path) -> None:
    with Registry(tmp_path / "home") as registry:
        path = write_kind(tmp_path, "text_generation")
        with pytest.raises(
            DataRefusedError, match=r"the target '.*' has \d+ tokens, more than 5: shorten it"
        ):
            add_task(registry, path, base_model=llama, settings=replace(SETTINGS, max_target=5))
        with pytest.raises(InvalidSettingError, match=r"more than .* reads: choose at most \d+"):
            add_task(
                registry, path, base_model=llama, settings=replace(SETTINGS, max_length=llama.max_positions)
            )
        assert registry.tasks() == []


def test_choices_and_templates_where_they_have_no_place_are_refused(
    made: Made, registry: Registry, tmp_path: Path
) -> None:
    moe = MoE.load(registry, expert="plain", base=made.base)
    with pytest.raises(InvalidSettingError, match="plain@1 does not take choices: leave them out"):
        moe.predict([Input("Which?", choices=("a", "b"))])
    settings = replace(QUICK, template="{text}\n")
    with pytest.raises(InvalidSettingError, match="a template is for tasks whose answers are written"):
        add_task(registry, write(tmp_path, "mood"), name="other", base_model=made.base, settings=settings)


def test_a_layer_that_writes_is_found_beside_the_embeddings(tmp_path: Path, session_cache: Path) -> None:
    folder = tiny_llama(tmp_path / "apart", tied=False)
    base = BaseModel(sources.resolve(str(folder), cache=session_cache), "cpu")
    reference = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    batch = base.batch(base.tokenize(["a text", "a second text"], 16))
    with torch.no_grad():
        logits = reference(input_ids=batch.ids, attention_mask=batch.mask).logits
        assert torch.allclose(base.words.logits(base.forward(batch)), logits, atol=1e-5)
    reference.model.save_pretrained(folder)
    bare = BaseModel(sources.resolve(str(folder), cache=tmp_path / "cache"), "cpu")
    with pytest.raises(InvalidSettingError, match="comes without the layer that it writes with"):
        _ = bare.words
