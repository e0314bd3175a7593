"""`add_task`: what it makes, what it finds done already, what it refuses; nothing half-made stays."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from registry import ConflictError, NotFoundError, Registry
from registry.errors import DataRefusedError, InvalidSettingError
from tests.trainer.pipeline.steps import Stopped, mood, state, stop_at
from tests.trainer.samples import QUICK, mood_rows, write
from trainer import add_task
from trainer.base_model import BaseModel
from trainer.pipeline import AddedTask

AFTER_AN_EPOCH = 59
"""Rows seen one step of 16 after the first epoch, which has 43."""


def test_a_file_becomes_a_frozen_expert_with_everything_on_record(
    registry: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    made = mood(registry, tmp_path, llama)
    expert = made.expert
    assert (made.created, sum(made.rows.values())) == (True, 48)
    assert (expert.name, expert.kind, expert.adapter) == ("mood@1", "classification", "tt_lora")
    assert (expert.labels, expert.parent, expert.dataset) == (("bad", "good"), None, 1)
    assert registry.experts() == [expert]
    assert registry.find_expert(
        task="mood", dataset_sha256=registry.dataset("mood").sha256, settings_key=expert.settings_key
    )
    values, about = registry.tensors("mood@1")
    assert sum(value.size for value in values.values()) == expert.parameters
    assert about == {
        "architecture": expert.config["architecture"],
        "base_model": llama.record.fingerprint,
        "dataset": registry.dataset("mood").sha256,
        "task": "mood",
    }
    assert sha256(registry.blobs.get(expert.sha256)).hexdigest() == expert.sha256
    assert [one.fingerprint for one in registry.base_models()] == [llama.record.fingerprint]
    assert registry.verify() == []


def test_the_rows_are_kept_as_they_were_written(registry: Registry, tmp_path: Path, llama: BaseModel) -> None:
    made = mood(registry, tmp_path, llama)
    dataset = registry.dataset("mood")
    kept = [json.loads(line) for line in registry.rows(dataset).decode().splitlines()]
    assert sorted((row["text"], row["label"]) for row in kept) == sorted(mood_rows())
    assert (dataset.rows, dataset.source, dataset.labels) == (made.rows, "mood.csv", ("bad", "good"))
    assert dataset.findings == made.findings


def test_the_run_is_on_record_with_its_history(registry: Registry, tmp_path: Path, llama: BaseModel) -> None:
    expert = mood(registry, tmp_path, llama).expert
    run = registry.run(expert.run)
    assert (run.kind, run.seed, run.settings) == ("expert", 0, expert.config["training"])
    assert [row["epoch"] for row in run.history] == [1, 2]
    assert set(run.versions) >= {"torch", "transformers", "numpy"}
    assert run.started_at <= run.finished_at


def test_the_same_rows_with_the_same_settings_are_nothing_to_do(
    registry: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    first = mood(registry, tmp_path, llama)
    before = state(registry)
    again = mood(registry, tmp_path, llama)
    assert replace(again, seconds=0) == replace(first, seconds=0, created=False)
    assert state(registry) == before


def test_what_another_process_made_meanwhile_is_not_made_again(
    registry: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    theirs: list[AddedTask] = []

    def race(stage: str, done: int, total: int, note: str) -> None:
        if stage == "training" and not theirs:
            with Registry(registry.home) as other:
                theirs.append(mood(other, tmp_path, llama))

    own = mood(registry, tmp_path, llama, on_progress=race)
    assert (theirs[0].created, own.created) == (True, False)
    assert registry.experts(all_versions=True) == [theirs[0].expert] == [own.expert]
    assert own.metrics == theirs[0].metrics


def test_changed_rows_make_the_next_version(registry: Registry, tmp_path: Path, llama: BaseModel) -> None:
    first = mood(registry, tmp_path, llama).expert
    more = write(tmp_path, "mood", rows=[*mood_rows(), ("A happy end.", "good")])
    second = add_task(registry, more, base_model=llama, settings=QUICK).expert
    assert (second.name, second.parent, second.dataset) == ("mood@2", 1, 2)
    assert registry.experts(all_versions=True) == [first, second]
    assert registry.experts() == [second]


@pytest.mark.parametrize("change", [{"seed": 1}, {"rank": 2}, {"epochs": 1}, {"adapter": "lora"}])
def test_changed_settings_make_the_next_version_on_the_same_rows(
    copy: Registry, tmp_path: Path, llama: BaseModel, change: dict[str, int]
) -> None:
    second = mood(copy, tmp_path, llama, settings=replace(QUICK, **change)).expert
    assert (second.name, second.parent, second.dataset) == ("mood@2", 1, 1)
    assert second.sha256 != copy.expert("mood@1").sha256


def test_an_expert_on_another_base_model_is_another_version(
    copy: Registry, tmp_path: Path, bert: BaseModel
) -> None:
    second = mood(copy, tmp_path, bert).expert
    assert (second.name, second.base_model) == ("mood@2", bert.record.fingerprint)


def test_a_name_and_columns_can_be_chosen(registry: Registry, tmp_path: Path, llama: BaseModel) -> None:
    path = tmp_path / "My Reviews (1).csv"
    path.write_text("review,verdict\n" + "".join(f"{text},{label}\n" for text, label in mood_rows()))
    options = {"base_model": llama, "settings": QUICK, "text": "review", "label": "verdict"}
    assert add_task(registry, path, **options).expert.name == "my_reviews_1@1"
    assert add_task(registry, path, name="stars", **options).expert.name == "stars@1"
    assert registry.dataset("stars").columns == {"text": "review", "label": "verdict"}


def test_texts_that_were_cut_are_reported(registry: Registry, tmp_path: Path, llama: BaseModel) -> None:
    made = mood(registry, tmp_path, llama, settings=replace(QUICK, max_length=3))
    assert made.findings[-1] == (
        "48 of 48 texts are longer than the limit and were cut; a larger --max-length reads more of them"
    )


def test_a_task_keeps_its_kind(registry: Registry, tmp_path: Path, llama: BaseModel) -> None:
    registry.add_dataset(
        task="mood",
        kind="regression",
        labels=(),
        content=b"{}\n",
        rows={"train": 1, "validation": 0, "test": 0},
        columns={},
        source="mood.csv",
        findings=(),
    )
    before = state(registry)
    with pytest.raises(ConflictError) as refusal:
        mood(registry, tmp_path, llama)
    assert str(refusal.value) == (
        "task 'mood' is of kind regression, these rows are of kind classification: give them another --name"
    )
    assert state(registry) == before


REFUSED: dict[str, tuple[type[Exception], dict[str, object]]] = {
    "unknown column": (NotFoundError, {"text": "txet"}),
    "unknown task kind": (NotFoundError, {"kind": "clasification"}),
    "unknown adapter": (NotFoundError, {"settings": replace(QUICK, adapter="tt_lroa")}),
    "unknown preset": (NotFoundError, {"settings": replace(QUICK, preset="papre")}),
    "rank too large": (InvalidSettingError, {"settings": replace(QUICK, rank=25)}),
    "first layer too high": (InvalidSettingError, {"settings": replace(QUICK, first_layer=4)}),
    "length too long": (InvalidSettingError, {"settings": replace(QUICK, max_length=100_000)}),
    "rate too large": (
        InvalidSettingError,
        {"settings": replace(QUICK, learning_rate=1e10, head_learning_rate=1e10)},
    ),
    "reserved name": (InvalidSettingError, {"name": "router"}),
    "bad name": (InvalidSettingError, {"name": "My Task"}),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_refused_leaves_nothing_behind(
    registry: Registry, tmp_path: Path, llama: BaseModel, reason: str
) -> None:
    error, options = REFUSED[reason]
    before = state(registry)
    with pytest.raises(error) as refusal:
        mood(registry, tmp_path, llama, **options)
    assert "\n" not in str(refusal.value)
    assert state(registry) == before == {name: [] for name in before}


def test_refused_rows_leave_nothing_behind(registry: Registry, tmp_path: Path, llama: BaseModel) -> None:
    before = state(registry)
    for rows in ([("one", "same"), ("two", "same")], [], [("alone",)]):
        with pytest.raises(DataRefusedError):
            add_task(registry, write(tmp_path, "mood", rows=rows), base_model=llama, settings=QUICK)
    assert state(registry) == before


def test_an_unknown_adapter_suggests_the_nearest(
    registry: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    with pytest.raises(
        NotFoundError, match=r"unknown adapter kind 'tt_lroa'; known: .*Did you mean 'tt_lora'\?"
    ):
        mood(registry, tmp_path, llama, settings=replace(QUICK, adapter="tt_lroa"))


@pytest.mark.parametrize(
    "change",
    [
        {"rank": 0},
        {"epochs": 0},
        {"batch_size": -1},
        {"alpha": 0.0},
        {"learning_rate": float("nan")},
        {"seed": -1},
    ],
)
def test_settings_out_of_range_are_refused_when_they_are_made(change: dict[str, float]) -> None:
    with pytest.raises(InvalidSettingError, match=next(iter(change)).replace("_", " ")):
        replace(QUICK, **change)


@pytest.mark.parametrize(
    ("stage", "done"), [("reading texts", 32), ("training", 16), ("training", AFTER_AN_EPOCH)]
)
def test_a_run_that_was_stopped_goes_on_to_the_same_expert(
    copy: Registry, registry: Registry, tmp_path: Path, llama: BaseModel, stage: str, done: int
) -> None:
    before = state(registry)
    with pytest.raises(Stopped):
        mood(registry, tmp_path, llama, on_progress=stop_at(stage, done))
    assert state(registry) == before
    checkpoints = registry.cache / "checkpoints"
    assert len(list(checkpoints.glob("*"))) == (1 if done == AFTER_AN_EPOCH else 0)
    rows: list[int] = []
    made = mood(
        registry,
        tmp_path,
        llama,
        on_progress=lambda now, done, total, note: rows.append(done) if now == "training" else None,
    )
    assert made.expert.sha256 == copy.expert("mood@1").sha256
    assert rows[0] == (AFTER_AN_EPOCH if done == AFTER_AN_EPOCH else 16)
    assert not checkpoints.exists() or not list(checkpoints.glob("*"))


def test_a_second_expert_on_the_same_rows_reads_no_texts(
    registry: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    stages: list[str] = []
    mood(registry, tmp_path, llama)
    second = mood(
        registry,
        tmp_path,
        llama,
        settings=replace(QUICK, seed=3, rank=2),
        on_progress=lambda stage, *_: stages.append(stage),
    )
    assert set(stages) == {"training"}
    with Registry(tmp_path / "other") as other:
        alone = mood(other, tmp_path, llama, settings=replace(QUICK, seed=3, rank=2))
    assert alone.expert.sha256 == second.expert.sha256


def test_an_expert_is_the_same_with_and_without_the_cache_of_states(
    copy: Registry, registry: Registry, tmp_path: Path, llama: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_STATES_GIB", "0")
    made = mood(registry, tmp_path, llama)
    assert not list(registry.home.glob("cache/states/*"))
    assert list(copy.home.glob("cache/states/*.states"))
    assert made.expert.sha256 == copy.expert("mood@1").sha256


def test_cached_states_that_were_damaged_are_said_to_be_computed_again(
    copy: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    for path in copy.home.glob("cache/states/*.states"):
        path.write_bytes(path.read_bytes()[:-1])
    made = mood(copy, tmp_path, llama, settings=replace(QUICK, seed=3))
    assert made.findings[-1] == (
        "The cached states of these rows were damaged or of another version. They are computed again."
    )
