"""`train_mixture`: what it learns from, and what it puts on record, and how its generations answer."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from registry import Registry
from registry.errors import InvalidSettingError
from tests.trainer.pipeline.mixing.corpora import FAST, WRITING, labelled, mix, sayings, table
from tests.trainer.pipeline.steps import Stopped, refit, state, stop_at
from trainer import Decoding, MoE, add_task, evaluate, train_mixture
from trainer.base_model import BaseModel
from trainer.pipeline.looking import decisions
from trainer.thawing import fetched


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
