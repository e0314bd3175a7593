"""A few rows and the experts that there are become one more expert, without training."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from registry import ConflictError, NotFoundError, Registry, combinations
from registry.errors import DataRefusedError, InvalidSettingError, RegistryError
from registry.lineage import COMBINED
from tests.trainer.pipeline.steps import mood, refit, state
from tests.trainer.samples import QUICK, mood_rows, texts, write
from trainer import MoE, adapt, add_task, evaluate
from trainer.base_model import BaseModel
from trainer.blocks import apart, give_head, words
from trainer.combining import Parent, Search, add_up, deep_layers, pooled_states, rounded
from trainer.encoding import encode
from trainer.experts import Alone, described
from trainer.few_rows import read_few
from trainer.forms import low_rank
from trainer.layouts import layouts
from trainer.pipeline import Adapted
from trainer.progress import silent
from trainer.tasks import classification
from trainer.thawing import thawed
from trainer.visitors import Watching

FEW = [(f"{text} So it was.", label) for text, label in mood_rows()[::2]]


def few(registry: Registry, folder: Path, base: BaseModel, **options: object) -> Adapted:
    """Rows of the task `again`, which are much like those of `mood`."""
    rows = write(folder, "mood", rows=FEW).rename(folder / "again.csv")
    return adapt(registry, rows, base_model=base, **{"max_length": 32, **options})


def test_it_is_an_expert_like_any_other_and_names_its_parents(
    copy: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    found = few(copy, tmp_path, llama)
    expert = found.expert
    assert (expert.name, expert.adapter, expert.parent) == ("again@1", "tt_lora", None)
    assert expert.labels == ("bad", "good")
    weights = combinations.parts_of(copy, expert)
    assert weights == found.combined_from
    assert weights
    assert [edge.target for edge in copy.lineage("again").edges if edge.relation == COMBINED] == [*weights]
    assert found.details["left_out"]["accuracy"] >= found.details["base_alone"]["accuracy"]
    assert copy.verify() == []
    fitted = refit(copy)
    assert "again@1" in fitted.generation.experts
    moe = MoE.load(copy, base=llama)
    asked = [text for text, _ in FEW]
    routed = moe.predict([*asked, *texts("pairs")])
    alone = [moe.predict([one])[0].label for one in asked]
    assert [one.label for one in routed[: len(asked)]] == alone
    forced = moe.predict(asked, expert="again")
    right = sum(one.label == label for one, (_, label) in zip(forced, FEW, strict=True))
    assert right > 0.8 * len(FEW)


def test_a_head_that_reads_a_layer_on_the_way_answers_in_a_batch_as_alone(
    copy: Registry, tmp_path: Path, base: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for task in () if base.is_decoder else ("mood", "question"):
        add_task(copy, write(tmp_path, task), name=f"{task}-encoded", base_model=base, settings=QUICK)
    experts = ["mood", "question"] if base.is_decoder else ["mood-encoded", "question-encoded"]
    layer = base.layers - 1
    monkeypatch.setattr("trainer.pipeline.adapting.deep_layers", lambda layers, first: (layer,))
    monkeypatch.setattr("trainer.combining.deep_layers", lambda layers, first: (layer,))
    found = few(copy, tmp_path, base, experts=experts)
    assert described(found.expert).head_layers == (layer,)
    fitted = refit(copy, experts=[*experts, "again"])
    moe = MoE.load(copy, fitted.generation.name, base=base)
    asked = [*texts("mood"), *texts("question")]
    for expert in (None, "again"):
        together = moe.predict(asked, expert=expert)
        for text, one in zip(asked, together, strict=True):
            alone = moe.predict([text], expert=expert)[0]
            assert (one.expert, one.label) == (alone.expert, alone.label)
            assert one.probabilities == pytest.approx(alone.probabilities, abs=1e-4)
    assert evaluate(copy, "again@1", device="cpu").metrics == found.added.metrics["test"]


def test_a_head_that_hears_its_parents_says_the_same_without_them(
    copy: Registry, tmp_path: Path, llama: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.solving.VOICES", (2.0,))
    names, rows = ("mood@1", "question@1"), read_few(write(tmp_path, "mood", rows=FEW)).rows
    modules = {name: thawed(copy, llama, copy.expert(name)) for name in names}
    parents = {
        name: Parent(each.visitor().parts, apart(each.architecture, each.head.weight, llama.layers))
        for name, each in modules.items()
    }
    encoding = encode(llama, [row.input for row in rows], layers=(1,), max_length=32, resume_at=1)
    places, layers = range(len(rows)), deep_layers(llama.layers, 1)
    search = Search(
        classification, ("bad", "good"), encoding, places, rows, parents.__getitem__, 1, 8, silent
    )
    update = add_up([one.update for one in parents.values()], [1.0, 0.5])
    found = search.judge(dict(zip(names, (1.0, 0.5), strict=True)), update)
    states = pooled_states(encoding, places, update, layers)
    layer, pooling = found.reading
    heard = [words(one.head, states) for one in parents.values()]
    wanted = found.solution.head(torch.cat([states[layer][:, pooling], *heard], 1))
    module = modules["mood@1"]
    give_head(module, search.head(found), found.solution.head, llama)
    assert {layer, llama.layers} == {*(module.architecture.head_layers or (llama.layers,))}
    watching = Watching(module.architecture.head_layers, Alone(low_rank, update))
    final, batch = encoding.final(places, watching)
    said = module.outputs(final, batch, [1] * len(rows), watching.states)
    assert torch.allclose(said, wanted, atol=1e-3)


def test_its_update_is_the_weighted_sum_of_its_parents(
    copy: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    found = few(copy, tmp_path, llama)
    parts = {name: thawed(copy, llama, copy.expert(name)).visitor().parts for name in found.combined_from}
    own = thawed(copy, llama, found.expert).visitor().parts
    places = {place for update in parts.values() for place in update}
    assert {*own} == places
    for place, given in own.items():
        wanted = sum(w * parts[name][place]["a"] @ parts[name][place]["b"]
                     for name, w in found.combined_from.items())  # fmt: skip
        assert torch.allclose(given["a"] @ given["b"], wanted, atol=1e-5)
    assert found.details["rounding_error"] < 1e-5


def test_a_smaller_rank_is_reported_with_what_it_loses(
    copy: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    found = few(copy, tmp_path, llama, rank=2)
    assert described(found.expert).adapter_config["rank"] == 2
    assert 0.01 < found.details["rounding_error"] < 1


def test_several_updates_are_rounded_together(copy: Registry, llama: BaseModel) -> None:
    updates = [thawed(copy, llama, copy.expert(name)).visitor().parts for name in ("mood", "question")]
    summed = add_up(updates, [1.0, -0.5])
    plan = described(copy.expert("mood"))
    for rank, least, most in ((10, 0.0, 1e-5), (5, 1e-3, 0.9)):
        architecture = replace(plan, adapter_config={**plan.adapter_config, "rank": rank, "alpha": 1.0})
        _, lost = rounded(architecture, layouts(llama, architecture), summed)
        assert least <= lost <= most


def test_the_same_rows_and_experts_give_the_same_bytes_and_asked_again_nothing(
    copy: Registry, added: Path, tmp_path: Path, llama: BaseModel
) -> None:
    first = few(copy, tmp_path, llama)
    before = state(copy)
    again = few(copy, tmp_path, llama)
    assert (again.added.created, again.expert, again.combined_from, again.details) == (
        False,
        first.expert,
        first.combined_from,
        first.details,
    )
    assert state(copy) == before
    with Registry(shutil.copytree(added, tmp_path / "other")) as other:
        assert few(other, tmp_path, llama).expert.sha256 == first.expert.sha256


def test_only_the_experts_named_are_combined(copy: Registry, tmp_path: Path, llama: BaseModel) -> None:
    found = few(copy, tmp_path, llama, experts=["question@1", "question"])
    assert {*found.combined_from} <= {"question@1"}
    assert found.expert.config["adapting"]["experts"] == ["question@1"]


def test_experts_of_lora_can_be_parents(copy: Registry, tmp_path: Path, llama: BaseModel) -> None:
    mood(copy, tmp_path, llama, name="dense", settings=replace(QUICK, adapter="lora", rank=4))
    found = few(copy, tmp_path, llama, experts=["dense"], rank=24)
    assert found.expert.adapter == "tt_lora"
    assert found.details["rounding_error"] < 1e-5


def test_what_cannot_be_combined_is_refused_in_one_line(
    copy: Registry, tmp_path: Path, llama: BaseModel, bert: BaseModel
) -> None:
    before = state(copy)

    def refused(kind: type[RegistryError], **options: object) -> str:
        with pytest.raises(kind) as reason:
            few(copy, tmp_path, llama, **options)
        return str(reason.value)

    assert "There is no task 'nobody'" in refused(NotFoundError, experts=["mood", "nobody"])
    assert state(copy) == before
    mood(copy, tmp_path, bert, name="encoded")
    told = refused(ConflictError)
    assert "an expert is combined from others on one base model, these differ: encoded@1 on" in told
    mood(copy, tmp_path, llama, name="head", settings=replace(QUICK, adapter="probe"))
    told = refused(InvalidSettingError, experts=["mood", "head"])
    assert told.startswith("head@1 is of the kind probe, whose updates cannot be added to others: name")


def test_rows_that_are_no_few_are_refused_in_one_line(
    copy: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    def refused(rows: list[tuple[str, str]]) -> str:
        path = write(tmp_path, "mood", rows=rows)
        with pytest.raises(DataRefusedError) as reason:
            adapt(copy, path, base_model=llama)
        return str(reason.value).removeprefix(f"{path}: ")

    assert refused(FEW[:6]) == "6 rows; adapt needs 8 at least: add some"
    assert refused([(f"{text} {number}", label) for text, label in FEW for number in range(3)]) == (
        "72 rows; adapt takes 64 at most, with more add-task trains an expert of their own"
    )
    assert refused([(text, "good") for text, _ in FEW]) == (
        "every row has the label 'good'; at least two labels are needed"
    )
    with (
        Registry(tmp_path / "empty") as empty,
        pytest.raises(NotFoundError, match="no expert to combine yet"),
    ):
        few(empty, tmp_path, llama)


def test_of_many_experts_those_are_tried_that_the_router_would_ask(
    copy: Registry, tmp_path: Path, llama: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    refit(copy)
    monkeypatch.setattr("trainer.pipeline.adapting.MOST_TRIES", 2)
    monkeypatch.setattr("trainer.pipeline.adapting.FEWEST_TRIES", 2)
    found = few(copy, tmp_path, llama)
    assert found.expert.config["adapting"]["experts"] == ["mood@1"]
    assert found.details["tried"] == 2


def test_a_task_that_has_an_expert_gets_its_next_version(
    copy: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    found = few(copy, tmp_path, llama, name="mood")
    assert (found.expert.name, found.expert.parent) == ("mood@2", 1)
    amounts = tmp_path / "mood.csv"
    amounts.write_text("text,score\n" + "\n".join(f"Number {n},{n}.5" for n in range(12)))
    with pytest.raises(ConflictError, match="task 'mood' is of kind classification"):
        adapt(copy, amounts, base_model=llama)
    assert adapt(copy, amounts, name="amount", base_model=llama).expert.kind == "regression"
    add_task(copy, write(tmp_path, "question"), base_model=llama, settings=QUICK)
