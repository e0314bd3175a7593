"""Experts that write: what they learn from, and what of it routers read."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from registry import Registry
from registry.errors import DataRefusedError, InvalidSettingError
from tests.tiny_models import tiny_llama
from tests.trainer.samples import QUICK, WRITING
from tests.trainer.tasks.samples import FILES
from tests.trainer.tasks.samples import write as write_kind
from trainer import add_task, evaluate, sources
from trainer.base_model import BaseModel
from trainer.data import TaskData, read_task
from trainer.dataset_features import FeatureKey, inputs, known_features
from trainer.encoding import early_layers, encode
from trainer.experts import ExpertModule
from trainer.pipeline.plans import TrainingPlan
from trainer.prompts import read_rows
from trainer.state_cache import StateCache
from trainer.tokens import Tokens
from trainer.trainee import outputs


def test_no_target_is_in_what_routers_read(llama: BaseModel, tmp_path: Path) -> None:
    kept = []
    for targets in ("as it is", "turned"):
        header, *lines = FILES["text_generation"]
        path = tmp_path / "said.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            turn = (lambda text: text) if targets == "as it is" else (lambda text: text[::-1])
            csv.writer(file).writerows([header, *([text, turn(target)] for text, target in lines)])
        with Registry(tmp_path / targets) as registry:
            expert = add_task(registry, path, base_model=llama, settings=replace(WRITING, epochs=1)).expert
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
    return TrainingPlan.settle("said", data, base, replace(WRITING, **settings)), data  # type: ignore[arg-type]


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
        settings = replace(WRITING, epochs=20, rank=8, learning_rate=3e-2, first_layer=1)
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
            add_task(registry, path, base_model=llama, settings=replace(WRITING, max_target=5))
        with pytest.raises(InvalidSettingError, match=r"more than .* reads: choose at most \d+"):
            add_task(
                registry, path, base_model=llama, settings=replace(WRITING, max_length=llama.max_positions)
            )
        assert registry.tasks() == []


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
