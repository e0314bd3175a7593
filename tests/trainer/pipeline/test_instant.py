"""A head alone that answers at once, and what becomes of it when an expert is trained."""

from dataclasses import replace
from pathlib import Path

import pytest

from registry import Registry
from registry.errors import FencedError, InvalidSettingError
from tests.trainer.pipeline.steps import Stopped, refit, state, stop_at
from tests.trainer.samples import QUICK, texts, write
from tests.trainer.tasks.samples import write as write_kind
from trainer import MoE, add_task, add_tasks, evaluate
from trainer.base_model import BaseModel
from trainer.described import from_json, to_json
from trainer.experts import described
from trainer.layouts import Architecture
from trainer.pipeline import add_rows
from trainer.tasks import read_tasks

INSTANT = replace(QUICK, instant=True)
PROBE = replace(QUICK, adapter="probe")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "home")


def test_a_probe_is_version_one_and_the_trained_expert_the_next_if_it_is_better(
    registry: Registry, tmp_path: Path, base: BaseModel
) -> None:
    rows = write(tmp_path, "mood")
    seen: list[list[str]] = []

    def look(stage: str, done: int, total: int, note: str) -> None:
        if stage == "training":
            seen.append([one.name for one in registry.experts("mood", all_versions=True)])

    added = add_task(registry, rows, base_model=base, settings=INSTANT, on_progress=look)
    assert seen[0] == ["mood@1"]
    probe = registry.expert("mood@1")
    assert (probe.adapter, described(probe).head_layers, described(probe).targets) == ("probe", (1, 2), ())
    scores = {
        one.name: {
            two.metric: two.value for two in registry.evaluations(one.name) if two.split == "validation"
        }
        for one in registry.experts("mood", all_versions=True)
    }
    said = [one for one in added.findings if "mood@1" in one]
    if added.expert.name == "mood@2":
        assert scores["mood@2"]["accuracy"] > scores["mood@1"]["accuracy"]
        assert said[0].startswith("mood@1, solved at once, had accuracy")
    else:
        assert [*scores] == ["mood@1"]
        assert said[0].startswith("mood@1 stays: trained, it had accuracy")
    before = state(registry)
    again = add_task(registry, rows, base_model=base, settings=INSTANT)
    assert (again.created, again.expert) == (False, added.expert)
    assert state(registry) == before
    assert registry.verify() == []


def test_a_trained_expert_that_is_no_better_is_not_published_nor_trained_again(
    registry: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    settings = replace(INSTANT, epochs=1, learning_rate=1e-9, head_learning_rate=1e-9)
    rows = write(tmp_path, "mood")
    added = add_task(registry, rows, base_model=llama, settings=settings)
    assert (added.expert.name, added.created) == ("mood@1", True)
    assert any(one.startswith("mood@1 stays: trained, it had accuracy") for one in added.findings)
    stages: list[str] = []
    again = add_task(
        registry,
        rows,
        base_model=llama,
        settings=settings,
        on_progress=lambda stage, *_: stages.append(stage),
    )
    assert (again.expert.name, again.created, stages) == ("mood@1", False, [])
    assert [one.name for one in registry.experts("mood", all_versions=True)] == ["mood@1"]


def test_training_that_is_cancelled_leaves_the_probe_and_goes_on_later(
    registry: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    rows = write(tmp_path, "mood")
    with pytest.raises(Stopped):
        add_task(registry, rows, base_model=llama, settings=INSTANT, on_progress=stop_at("training", 16))
    assert [one.name for one in registry.experts()] == ["mood@1"]
    assert MoE.load(registry, expert="mood", base=llama).predict(["The film was dull."])[0].expert == "mood@1"
    added = add_task(registry, rows, base_model=llama, settings=INSTANT)
    assert len(registry.experts("mood", all_versions=True)) == added.expert.version


def test_a_probe_is_not_published_for_somebody_elses_job(
    registry: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    def guard() -> None:
        raise FencedError("another has taken it over")

    [(task, rows)] = read_tasks([write(tmp_path, "mood")])
    with pytest.raises(FencedError):
        add_rows(registry, task, rows, base_model=llama, settings=INSTANT, guard=guard)
    assert registry.experts() == []


def test_of_several_tasks_all_answer_before_any_is_trained(
    registry: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    files = [write(tmp_path, task) for task in ("mood", "pairs", "question")]
    seen: list[int] = []

    def look(stage: str, done: int, total: int, note: str) -> None:
        if "training" in stage:
            seen.append(len(registry.experts()))

    added = add_tasks(registry, files, base_model=llama, settings=INSTANT, on_progress=look)
    assert {*seen} == {3}
    assert [one.expert.task for one in added] == ["mood", "pairs", "question"]


def test_probes_and_trained_experts_answer_in_one_batch_as_alone(
    registry: Registry, tmp_path: Path, base: BaseModel
) -> None:
    for task, settings in (("mood", PROBE), ("pairs", QUICK), ("question", replace(PROBE, first_layer=1))):
        add_task(registry, write(tmp_path, task), base_model=base, settings=settings)
    fitted = refit(registry)
    moe = MoE.load(registry, base=base)
    asked = [text for task in ("mood", "pairs", "question") for text in texts(task)]
    for expert in (None, "mood", "pairs"):
        together = moe.predict(asked, expert=expert)
        alone = [moe.predict([one], expert=expert)[0] for one in asked]
        assert [(one.expert, one.label) for one in together] == [(one.expert, one.label) for one in alone]
        for one, other in zip(together, alone, strict=True):
            assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)
    assert {one.expert for one in moe.predict(asked)} == {"mood@1", "pairs@1", "question@1"}
    recorded = {one.metric: one.value for one in registry.evaluations("mood") if one.split == "test"}
    assert evaluate(registry, "mood@1", device="cpu").metrics == recorded
    assert fitted.per_task["mood"]["oracle_accuracy"] == recorded["accuracy"]


def test_a_pool_of_probes_alone_answers(registry: Registry, tmp_path: Path, llama: BaseModel) -> None:
    for task in ("mood", "question"):
        add_task(registry, write(tmp_path, task), base_model=llama, settings=PROBE)
    refit(registry)
    answers = MoE.load(registry, base=llama).predict([*texts("mood"), *texts("question")])
    assert {one.expert for one in answers} == {"mood@1", "question@1"}


def test_rows_that_need_training_are_refused_a_probe(
    registry: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    rows = write_kind(tmp_path, "multiple_choice")
    for settings in (INSTANT, PROBE):
        with pytest.raises(InvalidSettingError, match="rows of the kind multiple_choice need training, only"):
            add_task(registry, rows, base_model=llama, settings=settings)
    assert registry.tasks() == []


def test_experts_made_before_there_were_probes_are_described_as_they_were(
    registry: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    added = add_task(registry, write(tmp_path, "mood"), base_model=llama, settings=QUICK)
    said = added.expert.config["architecture"]
    assert {*said} == {
        *("task_kind", "adapter", "adapter_config", "targets", "first_layer", "pooling", "max_length"),
        "labels",
    }
    assert to_json(from_json(Architecture, said)) == said
