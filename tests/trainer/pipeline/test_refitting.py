"""`retrain_router`: its numbers are those of the real thing; only experts and settings decide its bytes."""

import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from registry import ConflictError, DamagedError, Generation, NotFoundError, Registry
from registry.errors import InvalidSettingError
from tests.trainer.pipeline.steps import Stopped, mood, refit, state, stop_at
from tests.trainer.samples import QUICK, TASKS, mood_rows, texts, write
from trainer import MoE, add_task, evaluate, kinds
from trainer.base_model import BaseModel
from trainer.pipeline import RetrainedRouter, archive


def test_a_generation_holds_the_newest_expert_of_each_task(copy: Registry) -> None:
    made = refit(copy)
    generation = made.generation
    assert (made.created, generation.name, generation.router, generation.parent) == (
        True,
        "router@1",
        "closed_form",
        None,
    )
    assert generation.experts == ("mood@1", "pairs@1", "question@1")
    assert copy.generation() == copy.generation("router@production") == generation
    values, about = copy.tensors("router@1")
    assert about == {"experts": [copy.expert(name).sha256 for name in generation.experts]}
    assert generation.parameters == values["linear.weight"].size + values["linear.bias"].size
    assert copy.verify() == []


@pytest.mark.parametrize("passes", ["one", "two"])
def test_its_numbers_are_those_that_really_running_it_gives(copy: Registry, passes: str) -> None:
    made = refit(copy, passes=passes, promote=False)
    for split in ("validation", "test"):
        report = evaluate(copy, "router@1", split=split, device="cpu")
        assert report.metrics == made.metrics[split]
        assert report.examples == sum(copy.dataset(task).rows[split] for task in TASKS)
    assert (report.per_task, report.confusion) == (made.per_task, made.confusion)


def test_its_numbers_are_right_for_a_router_that_errs(
    registry: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    """Two tasks with the same texts: no router can tell them apart, so many rows go to the other expert."""
    rows = mood_rows()
    other = [(text, "warm" if place % 3 else "cold") for place, (text, _) in enumerate(rows)]
    settings = {"one": QUICK, "two": replace(QUICK, max_length=5, first_layer=1)}
    for name, own in (("one", rows), ("two", other)):
        path = write(tmp_path, "mood", rows=own)
        add_task(registry, path, name=name, base_model=llama, settings=settings[name])
    made = refit(registry)
    report = evaluate(registry, device="cpu")
    assert report.metrics == made.metrics["test"]
    assert (report.per_task, report.confusion) == (made.per_task, made.confusion)
    assert made.metrics["test"]["routing_accuracy"] < 1


def test_a_second_refit_runs_no_base_model_even_for_rows_that_go_astray(
    registry: Registry, tmp_path: Path, llama: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = mood_rows()
    for name, labels in (("one", ("warm", "cold")), ("two", ("yes", "no"))):
        own = [(text, labels[place % 2]) for place, (text, _) in enumerate(rows)]
        add_task(registry, write(tmp_path, "mood", rows=own), name=name, base_model=llama, settings=QUICK)
    first = refit(registry)
    assert first.metrics["test"]["routing_accuracy"] < 1

    def refuse(*_: object, **__: object) -> BaseModel:
        raise AssertionError("the base model was asked for")

    monkeypatch.setattr(archive, "fitting_base", refuse)
    second = refit(registry, seed=1)
    assert (second.created, second.metrics, second.per_task) == (True, first.metrics, first.per_task)


def test_after_a_task_was_added_or_left_out_the_sums_are_those_of_the_pool(
    added: Path, copy: Registry, tmp_path: Path
) -> None:
    """By way of other pools, and from nothing: the same bytes."""
    for names in (["mood", "pairs"], ["mood", "pairs", "question"], ["pairs", "question"]):
        found = refit(copy, experts=names, promote=False)
    with Registry(shutil.copytree(added, tmp_path / "bare")) as bare:
        wanted = refit(bare, experts=["pairs", "question"], promote=False)
    assert found.generation.sha256 == wanted.generation.sha256


def test_sums_that_are_damaged_are_said_and_made_anew(copy: Registry) -> None:
    wanted = refit(copy)
    [kept] = (copy.home / "cache" / "sums").iterdir()
    kept.write_bytes(kept.read_bytes()[:-3])
    said: list[str] = []
    found = refit(copy, seed=1, on_progress=lambda stage, done, total, note: said.append(note))
    assert found.generation.sha256 == wanted.generation.sha256
    assert "the kept sums of the router are damaged; they are summed anew" in said


def test_the_same_experts_and_settings_are_nothing_to_do(copy: Registry) -> None:
    first = refit(copy)
    before = state(copy)
    again = refit(copy)
    assert replace(again, seconds=0) == replace(first, seconds=0, created=False)
    assert state(copy) == before


def test_the_same_experts_are_fitted_anew_once_there_is_another_kind_to_choose_from(
    copy: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(kinds, "load_all", lambda family: {"trigrams": kinds.load(family, "trigrams")})
        assert [refit(copy, router="auto").created for _ in range(2)] == [True, False]
    assert [refit(copy, router="auto").created for _ in range(2)] == [True, False]
    assert [one.name for one in copy.generations()] == ["router@1", "router@2"]


@pytest.mark.parametrize("change", [{"seed": 1}, {"passes": "two"}, {"router": "noisy_top1"}])
def test_other_settings_make_the_next_generation(copy: Registry, change: dict[str, object]) -> None:
    refit(copy)
    second = refit(copy, **change)
    assert (second.created, second.generation.name, second.generation.parent) == (True, "router@2", 1)


def test_a_new_version_of_a_task_makes_the_next_generation(
    copy: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    refit(copy)
    mood(copy, tmp_path, llama, settings=replace(QUICK, seed=1))
    assert refit(copy).generation.experts == ("mood@2", "pairs@1", "question@1")
    assert copy.generation(1).experts == ("mood@1", "pairs@1", "question@1")


def test_what_was_not_promoted_is_promoted_by_the_next_run(copy: Registry) -> None:
    refit(copy)
    refit(copy, seed=1, promote=False)
    assert copy.generation("router@production").number == 1
    assert not refit(copy, seed=1).created
    assert copy.generation("router@production").number == 2


def test_a_generation_that_was_rolled_back_is_not_promoted_again(copy: Registry) -> None:
    refit(copy)
    refit(copy, seed=1)
    copy.rollback()
    assert not refit(copy, seed=1).created
    assert copy.generation("router@production").number == 1


def test_auto_fits_the_kinds_that_say_so_and_validation_picks(copy: Registry) -> None:
    made = refit(copy, router="auto")
    asked = {name for name, module in kinds.load_all("routers").items() if module.AUTO}
    assert {*made.candidates} == asked < {*kinds.names("routers")}
    assert made.candidates[made.generation.router] == max(made.candidates.values())
    assert made.metrics["validation"]["routing_accuracy"] == made.candidates[made.generation.router]
    found = MoE.load(copy, device="cpu").predict([text for task in TASKS for text in texts(task)])
    assert [one.task for one in found] == [task for task in TASKS for _ in texts(task)]


def test_a_router_of_text_reads_no_states(copy: Registry) -> None:
    generation = refit(copy, router="lexical").generation
    assert generation.config["router"]["layers"] == []
    [found] = MoE.load(copy, device="cpu").predict(["The film was lovely."])
    assert (found.task, found.generation) == ("mood", "router@1")


def test_some_experts_can_be_named_in_an_order_of_ones_own(copy: Registry) -> None:
    made = refit(copy, experts=["question", "mood@1"])
    assert made.generation.experts == ("question@1", "mood@1")
    assert set(made.per_task) == {"question", "mood"}


def test_one_expert_alone_makes_a_generation(copy: Registry) -> None:
    made = refit(copy, experts=["mood"])
    assert made.metrics["test"]["routing_accuracy"] == 1.0
    assert {one.task for one in MoE.load(copy, device="cpu").predict(texts("question"))} == {"mood"}


def test_unknown_routers_experts_and_passes_are_refused(copy: Registry, registry: Registry) -> None:
    before = state(copy)
    with pytest.raises(
        NotFoundError, match=r"unknown router kind 'closed_from'; .*Did you mean 'closed_form'\?"
    ):
        refit(copy, router="closed_from")
    with pytest.raises(NotFoundError, match="moood"):
        refit(copy, experts=["moood"])
    with pytest.raises(InvalidSettingError, match="passes 'three' is unknown: choose one or two"):
        refit(copy, passes="three")
    with pytest.raises(NotFoundError, match="add one with `registry add-task --data FILE`"):
        refit(registry)
    assert state(copy) == before


def test_two_versions_of_one_task_are_refused(copy: Registry, tmp_path: Path, llama: BaseModel) -> None:
    mood(copy, tmp_path, llama, settings=replace(QUICK, seed=1))
    with pytest.raises(ConflictError, match="mood is named more than once"):
        refit(copy, experts=["mood@1", "mood@2"])


def test_experts_of_two_base_models_are_refused(copy: Registry, tmp_path: Path, bert: BaseModel) -> None:
    mood(copy, tmp_path, bert)
    with pytest.raises(ConflictError, match=r"mood@2 on tiny-bert.*, pairs@1 on tiny-llama"):
        refit(copy)
    assert refit(copy, experts=["mood@1", "pairs", "question"]).created


def facts(made: RetrainedRouter) -> dict[str, object]:
    """All that must not depend on when or where it was fitted."""
    volatile = {"created_at", "run"}
    generation = {name: value for name, value in asdict(made.generation).items() if name not in volatile}
    return {**asdict(replace(made, seconds=0)), "generation": generation}


def drop_caches(registry: Registry, *, damage: bool) -> int:
    """Remove, or spoil, every blob that is neither an expert nor a dataset: features and answers."""
    needed = {expert.sha256 for expert in registry.experts()}
    needed |= {registry.dataset(task.name).sha256 for task in registry.tasks()}
    cached = [
        path for path in (registry.home / "blobs").rglob("*") if path.is_file() and path.name not in needed
    ]
    for path in cached:
        path.chmod(0o600)
        content = path.read_bytes()
        path.unlink()
        if damage:
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    return len(cached)


@pytest.mark.parametrize("damage", [False, True])
def test_without_its_caches_the_result_is_the_same(
    added: Path, copy: Registry, tmp_path: Path, damage: bool
) -> None:
    wanted = refit(copy)
    with Registry(shutil.copytree(added, tmp_path / "bare")) as bare:
        assert drop_caches(bare, damage=damage) == 6
        found = refit(bare)
    assert found.generation.sha256 == wanted.generation.sha256
    assert facts(found) == facts(wanted)


def test_another_home_gets_the_same_bytes_from_the_same_files(
    registry: Registry, copy: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    for task in reversed(TASKS):
        add_task(registry, write(tmp_path, task), base_model=llama, settings=QUICK)
    assert [one.sha256 for one in registry.experts()] == [one.sha256 for one in copy.experts()]
    assert facts(refit(registry, router="noisy_top1")) == facts(refit(copy, router="noisy_top1"))


def test_a_refit_that_was_stopped_leaves_no_generation(copy: Registry) -> None:
    before = state(copy)
    for stage in ("measuring on validation", "measuring on test"):
        with pytest.raises(Stopped):
            refit(copy, on_progress=stop_at(stage, 1))
        # Blobs of its caches may stay: the held-out rows' features of each task.
        assert {**state(copy), "blobs": before["blobs"]} == before
    made = refit(copy)
    assert set(made.metrics) == {"validation", "test"}
    assert set(made.metrics["test"]) == {"routing_accuracy", "routed_accuracy", "oracle_accuracy", "coverage"}


def test_a_damaged_dataset_makes_no_generation(copy: Registry) -> None:
    [blob] = (copy.home / "blobs").rglob(copy.dataset("mood").sha256)
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:-20])
    with pytest.raises(DamagedError):
        refit(copy)
    assert copy.generations() == []


def test_records_say_which_generation_uses_an_expert(copy: Registry) -> None:
    generation: Generation = refit(copy).generation
    assert generation.name in str(copy.lineage("mood"))
