"""`train_mixture`: what it learns from, what it puts on record, and how its generations answer."""

import csv
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.mixtures import publish_untrained
from registry import NotFoundError, Registry
from registry.errors import ConflictError, DataRefusedError, InvalidSettingError
from tests.trainer.pipeline.steps import Stopped, refit, state, stop_at
from tests.trainer.pools import DESIGN, publish
from tests.trainer.samples import QUICK, TASKS, write
from tests.trainer.tasks.samples import FILES
from trainer import Decoding, MixtureSettings, MoE, add_task, evaluate, train_mixture
from trainer.base_model import BaseModel
from trainer.experts import design
from trainer.pipeline import TrainedMixture
from trainer.pipeline.looking import decisions
from trainer.thawing import fetched

WRITING = replace(QUICK, rank=4, max_length=24, learning_rate=2e-2, epochs=4)
FAST = MixtureSettings(epochs=3, batch_size=16, gate_learning_rate=2e-2, learning_rate=1e-2)
STARTS = {"say": "Say it of the", "tell": "Tell me of a"}


def table(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def sayings(task: str) -> list[list[str]]:
    """The rows of an expert that writes, in words of their own; `tell` shouts."""
    shout = str.upper if task == "tell" else str
    return [
        [text.replace(STARTS["say"], STARTS[task]), shout(target)]
        for text, target in FILES["text_generation"][1:]
    ]


@pytest.fixture(scope="module")
def home(llama: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two experts that write, of two kinds of adapters, and two that classify."""
    folder = tmp_path_factory.mktemp("mixing")
    with Registry(folder / "home") as registry:
        for task, adapter in (("say", "tt_lora"), ("tell", "lora")):
            rows = table(folder / f"{task}.csv", [["text", "target"], *sayings(task)])
            add_task(registry, rows, base_model=llama, settings=replace(WRITING, adapter=adapter))
        for task in ("mood", "question"):
            add_task(registry, write(folder, task), base_model=llama, settings=QUICK)
        refit(registry)
    return folder / "home"


@pytest.fixture
def registry(home: Path, tmp_path: Path) -> Registry:
    import shutil

    return Registry(shutil.copytree(home, tmp_path / "home"))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Targets of both experts that write."""
    rows = [row for pair in zip(sayings("say"), sayings("tell"), strict=True) for row in pair]
    return table(tmp_path / "corpus.csv", [["text", "target"], *rows])


def mix(registry: Registry, data: Path, base: BaseModel, *experts: str, **options: object) -> TrainedMixture:
    settings = replace(FAST, **options)  # type: ignore[arg-type]
    return train_mixture(
        registry, data, experts=experts or ("say", "tell"), base_model=base, settings=settings
    )


def labelled(folder: Path) -> Path:
    rows = [[*row, task] for task in ("mood", "question") for row in TASKS[task][0]]
    return table(folder / "labelled.csv", [["text", "label", "task"], *rows])


def test_a_gate_over_frozen_experts_is_the_next_generation_and_nothing_else(
    registry: Registry, llama: BaseModel, corpus: Path
) -> None:
    before = state(registry)
    made = mix(registry, corpus, llama, freeze_experts=True)
    after = state(registry)
    assert {name for name in before if before[name] != after[name]} == {"generations", "aliases", "blobs"}
    generation = made.generation
    assert (generation.router, generation.experts) == ("soft_token", ("say@1", "tell@1"))
    assert made.came_from == made.experts == generation.experts
    assert generation.parameters == 2 * (llama.hidden + 1)
    aliases = {alias.ref: alias.target for alias in registry.aliases()}
    assert aliases == {"router@candidate": generation.name, "router@production": "router@1"}
    assert registry.history("candidate")[0].reason == "train-mixture: of say@1, tell@1"
    run = registry.run(generation.run)
    assert (run.kind, run.seed, [one["epoch"] for one in run.history]) == ("mixture", 0, [1, 2, 3])
    assert run.settings["corpus"]["rows"] == made.rows
    assert {split: [*own] for split, own in made.metrics.items()} == {
        "validation": ["perplexity"],
        "test": ["perplexity"],
    }
    best = min(one["validation_perplexity"] for one in run.history)
    assert made.metrics["validation"]["perplexity"] == pytest.approx(best, rel=1e-5)
    assert registry.verify() == []
    assert not mix(registry, corpus, llama, freeze_experts=True).created
    assert state(registry) == after


def test_experts_that_learn_become_versions_after_those_they_came_from(
    registry: Registry, llama: BaseModel, corpus: Path
) -> None:
    frozen = mix(registry, corpus, llama, freeze_experts=True)
    old = {one.name: fetched(registry.blobs, one) for one in registry.experts()}
    made = mix(registry, corpus, llama)
    assert (made.came_from, made.experts) == (("say@1", "tell@1"), ("say@2", "tell@2"))
    for name in made.came_from:
        again = fetched(registry.blobs, registry.expert(name))
        assert {part: value.tobytes() for part, value in again.items()} == {
            part: value.tobytes() for part, value in old[name].items()
        }
    for expert in map(registry.expert, made.experts):
        edges = {(one.source, one.relation, one.target) for one in registry.lineage(expert.name).edges}
        before = f"{expert.task}@1"
        assert expert.parent == 1
        assert {(expert.name, "follows", before), (expert.name, "combined from", before)} <= edges
        assert (made.generation.name, "chooses among", expert.name) in edges
        assert expert.sha256 != registry.expert(before).sha256
    assert made.metrics["validation"]["perplexity"] < frozen.metrics["validation"]["perplexity"]
    assert registry.verify() == []
    # Asked again, with the newest experts or by the same names: nothing to do.
    assert mix(registry, corpus, llama).generation == made.generation
    assert mix(registry, corpus, llama, "say@1", "tell@1").generation == made.generation


def test_it_learns_the_texts_themselves_where_nothing_else_is_given(
    registry: Registry, llama: BaseModel, tmp_path: Path
) -> None:
    texts = table(tmp_path / "texts.csv", [["text"], *([" ".join(row)] for row in sayings("say"))])
    made = mix(registry, texts, llama, "say", "tell", "mood", gate="per-layer")
    first, *_, last = [one["validation_perplexity"] for one in made.history]
    assert last < first < math.exp(7)
    assert made.generation.config["router"]["layers"] == [2, 3]
    assert made.generation.parameters == 2 * 3 * (llama.hidden + 1)


def test_labels_are_learnt_under_the_heads_of_their_tasks(
    registry: Registry, llama: BaseModel, tmp_path: Path
) -> None:
    data = labelled(tmp_path)
    made = mix(registry, data, llama, "mood", "question", epochs=6)
    assert {split: [*own] for split, own in made.metrics.items()} == {
        "validation": ["accuracy"],
        "test": ["accuracy"],
    }
    # What was measured in training is what predictions say, where the head that is chosen is the task's own.
    heads = {one.task: one for one in MoE.load(registry, made.generation.name, base=llama).experts}
    assert {*heads} == {"mood", "question"}
    [*said] = MoE.load(registry, made.generation.name, base=llama).predict(["The film was superb.", "The"])
    assert all(one.label in heads[one.task or ""].labels for one in said)
    report = evaluate(registry, made.generation.name, device="cpu")
    assert set(report.per_task or {}) == {"mood", "question"}
    assert 0 <= report.metrics["routed_accuracy"] <= 1


def test_a_mixture_that_was_stopped_goes_on_and_ends_bit_equal(
    registry: Registry, llama: BaseModel, corpus: Path, home: Path, tmp_path: Path
) -> None:
    import shutil

    whole = mix(registry, corpus, llama)
    with Registry(shutil.copytree(home, tmp_path / "other")) as other:
        before = state(other)
        with pytest.raises(Stopped):
            train_mixture(
                other,
                corpus,
                experts=("say", "tell"),
                base_model=llama,
                settings=FAST,
                on_progress=stop_at("measuring", 1),
            )
        assert state(other) == before
        steps: list[int] = []
        again = train_mixture(
            other,
            corpus,
            experts=("say", "tell"),
            base_model=llama,
            settings=FAST,
            on_progress=lambda stage, done, total, note: steps.append(done) if stage == "training" else None,
        )
        assert len(steps) == 1, "it was trained already"
        assert again.generation.sha256 == whole.generation.sha256
        assert [other.expert(name).sha256 for name in again.experts] == [
            registry.expert(name).sha256 for name in whole.experts
        ]


def test_what_it_writes_is_written_token_by_token_with_the_gate_at_work(
    registry: Registry, llama: BaseModel, corpus: Path
) -> None:
    """Keys and values are kept: the text is that of reading all anew before each token."""
    made = mix(registry, corpus, llama, freeze_experts=True, epochs=1)
    moe = MoE.load(registry, made.generation.name, base=llama)
    texts = [row[0] for row in (*sayings("say")[:4], *sayings("tell")[:4])]
    together = moe.predict(texts, decoding=Decoding(max_new_tokens=6))
    for text, one in zip(texts, together, strict=True):
        [alone] = moe.predict([text], decoding=Decoding(max_new_tokens=6))
        assert (one.label, one.expert) == (alone.label, alone.expert)
        assert one.mixed == pytest.approx(alone.mixed, abs=1e-5)
        assert one.label == written_anew(registry, moe, llama, text, 6)


@torch.no_grad()
def written_anew(registry: Registry, moe: MoE, base: BaseModel, text: str, most: int) -> str:
    from trainer.mixture import Mixture
    from trainer.thawing import thawed
    from trainer.tokens import Tokens

    assert moe.router is not None
    members = [thawed(registry, base, one) for one in moe.experts]
    visitor = Mixture(members, moe.router, moe.design.layers, frozen=True).visitor()
    ids = [*base.tokenize([text], 24)[0].ids, *base.pieces("\n")]
    found: list[int] = []
    for _ in range(most):
        batch = base.batch([Tokens([*ids, *found], [0] * len(ids + found), False)])
        token = int(base.words.logits(base.forward(batch, visitor)[:, -1]).argmax())
        if token == base.end:
            break
        found.append(token)
    return base.spell(found)


def test_templates_that_begin_elsewhere_are_read_again_with_the_gate(
    registry: Registry, llama: BaseModel, tmp_path: Path, corpus: Path
) -> None:
    rows = table(tmp_path / "framed.csv", [["text", "target"], *sayings("say")])
    framed = replace(WRITING, template="Q: {text}\nA:", epochs=1)
    add_task(registry, rows, base_model=llama, settings=framed)
    with pytest.raises(
        InvalidSettingError, match="say, framed write behind different templates: add a column"
    ):
        mix(registry, corpus, llama, "say", "framed")
    tasks = [[*row, name] for row, name in zip(sayings("say"), ("say", "framed") * 99, strict=False)]
    own = table(tmp_path / "own.csv", [["text", "target", "task"], *tasks])
    made = mix(registry, own, llama, "say", "framed", freeze_experts=True, epochs=1)
    moe = MoE.load(registry, made.generation.name, base=llama)
    texts = [row[0] for row in sayings("say")[:6]]
    together = moe.predict(texts, decoding=Decoding(max_new_tokens=4))
    alone = [one for text in texts for one in moe.predict([text], decoding=Decoding(max_new_tokens=4))]
    assert [(one.label, one.expert) for one in together] == [(one.label, one.expert) for one in alone]


def test_the_next_generation_is_compared_with_a_mixture_in_production(
    registry: Registry, llama: BaseModel, tmp_path: Path
) -> None:
    made = mix(registry, labelled(tmp_path), llama, "mood", "question", freeze_experts=True, epochs=1)
    registry.promote(made.generation.name)
    fitted = refit(registry, experts=["mood", "question"])
    assert fitted.gate is not None
    assert (fitted.gate.against, fitted.gate.problem) == (made.generation.name, None)
    assert {one.task: one.rows > 0 for one in fitted.gate.tasks} == {"mood": True, "question": True}
    with pytest.raises(InvalidSettingError, match="mixes its experts in every token"):
        list(decisions(registry, made.generation.name))
    assert registry.history("production")[-1].target == "router@1"


def test_a_router_of_tokens_is_not_fitted_to_tasks(registry: Registry) -> None:
    with pytest.raises(
        InvalidSettingError, match="soft_token is not fitted but trained: registry train-mixture"
    ):
        refit(registry, router="soft_token")


@pytest.mark.parametrize(
    ("rows", "experts", "error", "said"),
    [
        ([["text"], ["a b"]], ["say"], InvalidSettingError, "a mixture needs two experts or more, given say"),
        ([["text"], ["a b"]], ["say", "nobody"], NotFoundError, "nobody"),
        ([["text"], ["a b"]], ["say", "say@1"], ConflictError, "say is named more than once"),
        ([["words"], ["a b"]], ["say", "tell"], DataRefusedError, "no column is known as the text"),
        ([["text", "label"], ["a", "b"]], ["say", "tell"], DataRefusedError, "none says of which task"),
        ([["text", "task"], ["a", "say"]], ["say", "tell"], DataRefusedError, "needs the answers beside it"),
        (
            [["text", "target"], ["a", "b"]],
            ["mood", "question"],
            DataRefusedError,
            "none of mood, question writes",
        ),
        ([["text", "target"], ["a", " "]], ["say", "tell"], DataRefusedError, "line 2: the target is empty"),
        (
            [["text", "label", "target", "task"], ["a", "b", "c", "say"]],
            ["say", "tell"],
            DataRefusedError,
            "two columns could be the answer, 'label' and 'target'",
        ),
        (
            [["text", "label", "task"], ["a", "good", "moods"]],
            ["mood", "question"],
            DataRefusedError,
            "line 2: the task 'moods' is none of mood, question. Did you mean 'mood'",
        ),
        (
            [["text", "label", "task"], ["a", "goood", "mood"]],
            ["mood", "question"],
            DataRefusedError,
            "line 2: mood@1 does not know the label 'goood'. Did you mean 'good'",
        ),
        (
            [["text", "label", "task"], ["a", "good", "say"]],
            ["mood", "say"],
            DataRefusedError,
            "line 2: rows of the task say need a column target",
        ),
    ],
)
def test_what_no_mixture_can_be_learnt_from_is_refused_in_one_line(
    registry: Registry,
    llama: BaseModel,
    tmp_path: Path,
    rows: list[list[str]],
    experts: list[str],
    error: type[Exception],
    said: str,
) -> None:
    before = state(registry)
    with pytest.raises(error, match=said) as refused:
        mix(registry, table(tmp_path / "rows.csv", rows), llama, *experts)
    assert "\n" not in str(refused.value)
    assert state(registry) == before


def test_experts_of_other_base_models_and_heads_alone_do_not_mix(
    registry: Registry, llama: BaseModel, bert: BaseModel, corpus: Path, tmp_path: Path
) -> None:
    publish(registry, bert, "elsewhere", 0)
    with pytest.raises(ConflictError, match=r"say@1 on .*, elsewhere@1 on"):
        mix(registry, corpus, llama, "say", "elsewhere")
    add_task(registry, write(tmp_path, "pairs"), base_model=llama, settings=replace(QUICK, adapter="probe"))
    with pytest.raises(InvalidSettingError, match=r"pairs@1 is a head alone \(kind probe\)"):
        mix(registry, corpus, llama, "say", "pairs")


def test_an_expert_whose_head_reads_layers_on_the_way_does_not_mix(
    registry: Registry, llama: BaseModel, corpus: Path
) -> None:
    architecture = replace(design(llama, labels=("no", "yes"), **DESIGN), head_layers=(2,))
    publish_untrained(registry, llama, "deep", architecture, 0, spread=0.1)
    with pytest.raises(InvalidSettingError, match=r"the head of deep@1 reads layers on the way, which a"):
        mix(registry, corpus, llama, "say", "deep")


def test_an_encoder_learns_labels_and_no_words(tmp_path: Path, bert: BaseModel) -> None:
    with Registry(tmp_path / "bert") as registry:
        for task in ("mood", "question"):
            add_task(registry, write(tmp_path, task), base_model=bert, settings=QUICK)
        texts = table(tmp_path / "texts.csv", [["text"], *([f"one {number}"] for number in range(40))])
        with pytest.raises(InvalidSettingError, match=r"which needs a decoder, and .* is an encoder"):
            mix(registry, texts, bert, "mood", "question")
        made = mix(registry, labelled(tmp_path), bert, "mood", "question", top_k=2)
        assert made.history[-1]["validation_accuracy"] >= made.history[0]["validation_accuracy"]


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"gate": "some"}, "gate 'some' is unknown: choose shared or per-layer"),
        ({"top_k": 1}, "top-k 1 is too small: .* nothing to learn from; choose 2 or more"),
        ({"balance": -1.0}, "balance -1.0 must be"),
        ({"gate_learning_rate": 0.0}, "gate learning rate 0.0 must be"),
        ({"seed": -1}, "seed -1 must be"),
    ],
)
def test_settings_outside_what_is_allowed_are_refused(wish: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidSettingError, match=said):
        MixtureSettings(**wish)  # type: ignore[arg-type]
