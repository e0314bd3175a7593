"""What the handle promises: versions, what is refused, what is found again."""

from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import numpy
import pytest

from registry import Registry
from registry.errors import (
    ConflictError,
    DamagedError,
    InvalidSettingError,
    NotFoundError,
    RegistryError,
)
from registry.records import Dataset, Expert, Generation, Run
from registry.tensors import pack
from tests.registry.samples import (
    BASE,
    FINGERPRINT,
    RUN,
    add_dataset,
    add_expert,
    add_generation,
    payload,
)


def test_an_expert_comes_back_as_it_was_added(registry: Registry) -> None:
    expert = add_expert(registry, "sst2", number=5)
    assert expert == Expert(
        task="sst2",
        version=1,
        kind="classification",
        adapter="tt_lora",
        config={"rank": 5, "modes": [4, 2]},
        labels=("no", "yes"),
        base_model=FINGERPRINT,
        dataset=1,
        run=1,
        parent=None,
        parameters=10,
        sha256=sha256(payload(5)).hexdigest(),
        bytes=len(payload(5)),
        settings_key="key",
        created_at=expert.created_at,
    )
    assert registry.expert("sst2") == registry.expert("sst2@1") == expert
    assert registry.run(expert.run) == Run(
        id=1,
        kind=RUN.kind,
        settings=RUN.settings,
        seed=RUN.seed,
        versions=RUN.versions,
        history=RUN.history,
        started_at=RUN.started_at,
        finished_at=RUN.finished_at,
        seconds=RUN.seconds,
    )
    assert registry.base_model(FINGERPRINT) == BASE
    tensors, metadata = registry.tensors("sst2@1")
    assert metadata == {"number": 5}
    numpy.testing.assert_array_equal(tensors["cores"], numpy.arange(4, dtype=numpy.float32) + 5)


def test_versions_count_up_per_task_and_name_their_parent(registry: Registry) -> None:
    made = [add_expert(registry, task, number=n) for n, task in enumerate(["a", "b", "a", "a"])]
    assert [(expert.name, expert.parent) for expert in made] == [
        ("a@1", None),
        ("b@1", None),
        ("a@2", 1),
        ("a@3", 2),
    ]
    assert [expert.name for expert in registry.experts()] == ["a@3", "b@1"]
    assert [expert.name for expert in registry.experts("a", all_versions=True)] == ["a@1", "a@2", "a@3"]


def test_a_dataset_comes_back_as_it_was_added(registry: Registry) -> None:
    content = 'naïve\n"quoted"\r\n\x00'.encode()
    dataset = registry.add_dataset(
        task="trec",
        kind="classification",
        labels=("NA", "007", "", "é"),
        content=content,
        rows={"train": 3, "validation": 0, "test": 1},
        columns={"text": "question", "label": "coarse"},
        source="a\udcff.csv",
        findings=("2 rows are twice in the file",),
    )
    assert dataset == Dataset(
        task="trec",
        version=1,
        sha256=sha256(content).hexdigest(),
        labels=("NA", "007", "", "é"),
        rows={"train": 3, "validation": 0, "test": 1},
        columns={"text": "question", "label": "coarse"},
        source="a\\udcff.csv",
        findings=("2 rows are twice in the file",),
        created_at=dataset.created_at,
    )
    assert dataset.name == "trec/data@1"
    assert registry.rows(dataset) == content
    assert [task.name for task in registry.tasks()] == ["trec"]
    assert registry.task("trec").kind == "classification"


def test_the_same_rows_again_are_the_same_dataset(registry: Registry) -> None:
    first, second = add_dataset(registry, number=1), add_dataset(registry, number=2)
    assert add_dataset(registry, number=1) == first
    assert registry.datasets("sst2") == [first, second]
    assert registry.dataset("sst2") == second
    assert registry.dataset("sst2", 1) == first


def test_another_kind_of_task_under_a_taken_name_is_a_conflict(registry: Registry) -> None:
    add_dataset(registry, "sst2")
    with pytest.raises(ConflictError, match="'sst2' is of kind classification, these rows are regression"):
        registry.add_dataset(
            task="sst2",
            kind="regression",
            labels=(),
            content=b"",
            rows={},
            columns={},
            source="",
            findings=(),
        )


@pytest.mark.parametrize("name", ["router", "", "SST2", "a b", "a@1", "-a", "a" * 65, "ü", "a/data", "a\n"])
def test_a_task_cannot_take_a_name_that_could_mean_something_else(registry: Registry, name: str) -> None:
    with pytest.raises(InvalidSettingError, match="A task cannot be named"):
        add_dataset(registry, name)
    assert registry.tasks() == []


def test_adding_a_base_model_twice_keeps_the_first(registry: Registry) -> None:
    assert registry.add_base_model(BASE) == BASE
    assert registry.add_base_model(replace(BASE, spec="elsewhere")) == BASE
    assert registry.base_models() == [BASE]


def test_find_expert_wants_the_same_rows_and_the_same_settings(registry: Registry) -> None:
    expert = add_expert(registry, "sst2", rows=1, settings_key="a")
    newer = add_expert(registry, "sst2", rows=1, settings_key="a", number=1)
    rows = registry.dataset("sst2", expert.dataset).sha256
    assert registry.find_expert(task="sst2", dataset_sha256=rows, settings_key="a") == newer
    assert registry.find_expert(task="sst2", dataset_sha256=rows, settings_key="b") is None
    assert registry.find_expert(task="sst2", dataset_sha256="0" * 64, settings_key="a") is None
    assert registry.find_expert(task="trec", dataset_sha256=rows, settings_key="a") is None


def test_a_generation_comes_back_with_its_experts_in_slot_order(registry: Registry) -> None:
    add_expert(registry, "b", number=1)
    add_expert(registry, "a", number=2)
    first = add_generation(registry, "b", "a@1", number=1)
    assert first == Generation(
        number=1,
        router="closed_form",
        config={"ridge": 0.1},
        base_model=FINGERPRINT,
        run=3,
        parent=None,
        experts=("b@1", "a@1"),
        sha256=sha256(payload(1001)).hexdigest(),
        root=first.root,
        parameters=30,
        created_at=first.created_at,
    )
    second = add_generation(registry, "a", number=2)
    assert (second.number, second.parent, second.experts) == (2, 1, ("a@1",))
    assert registry.generations() == [first, second]
    assert registry.generation(1) == registry.generation("router@1") == first
    assert registry.generation("router") == registry.generation() == second
    registry.promote("router@1")
    assert registry.generation() == registry.generation("router@production") == first
    assert registry.generation("router") == second


def test_a_generation_refuses_what_it_cannot_run(registry: Registry) -> None:
    add_expert(registry, "a")
    other = replace(BASE, fingerprint="0" * 64)
    add_expert(registry, "b", base=other, number=1)
    with pytest.raises(ConflictError, match="b@1 stand on another base model"):
        add_generation(registry, "a", "b")
    with pytest.raises(InvalidSettingError, match="at least one expert"):
        add_generation(registry)
    with pytest.raises(InvalidSettingError, match="each expert once"):
        add_generation(registry, "a", "a@1")
    with pytest.raises(NotFoundError, match=r"There is no task 'aa'\. Did you mean 'a'\?"):
        add_generation(registry, "aa")
    assert registry.generations() == []


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("sst3", "There is no task 'sst3'. Did you mean 'sst2'?"),
        ("SST2", "There is no task 'SST2'. Did you mean 'sst2'?"),
        ("weather", "There is no task 'weather'. `registry tasks` lists them."),
        ("sst2@9", "There is no expert 'sst2@9': sst2 has versions 1 to 2."),
        ("sst2@stabel", "There is no alias 'sst2@stabel'. Did you mean 'sst2@stable'?"),
        ("router@9", "There is no generation 'router@9': the router has generations 1 to 2."),
        ("router@prod", "There is no alias 'router@prod'. Did you mean 'router@production'?"),
    ],
)
def test_an_unknown_name_says_what_there_is(filled: Registry, ref: str, message: str) -> None:
    for ask in (filled.tensors, filled.lineage, filled.evaluations, filled.verify, filled.promote):
        with pytest.raises(NotFoundError) as caught:
            ask(ref)
        assert str(caught.value) == message


def test_an_expert_is_not_a_generation_and_an_empty_registry_says_what_to_do(registry: Registry) -> None:
    with pytest.raises(NotFoundError, match=r"no router yet\. Run `registry retrain-router`"):
        registry.generation()
    add_dataset(registry, "sst2")
    with pytest.raises(NotFoundError, match="sst2 has no expert yet"):
        registry.expert("sst2")
    with pytest.raises(NotFoundError, match="'router@1' is a generation of the router"):
        registry.expert("router@1")
    with pytest.raises(NotFoundError, match="'sst2' is not a generation"):
        registry.generation("sst2")
    with pytest.raises(NotFoundError, match="'sst2/data@9': sst2 has versions 1 to 1"):
        registry.dataset("sst2", 9)
    with pytest.raises(NotFoundError, match="no run 9"):
        registry.run(9)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80\x04K*.", b"PK\x03\x04", pack({"w": numpy.array([numpy.nan])}, {})],
    ids=["nothing", "pickle", "zip", "nan"],
)
def test_what_is_not_finite_tensors_is_never_frozen(registry: Registry, content: bytes) -> None:
    add_expert(registry, "sst2")
    facts = {"base_model": FINGERPRINT, "config": {}, "parameters": 1, "payload": content, "run": RUN}
    with pytest.raises(DamagedError):
        registry.add_expert(
            **facts, task="sst2", dataset=1, adapter="tt_lora", labels=("a",), settings_key="k"
        )
    with pytest.raises(DamagedError):
        registry.add_generation(**facts, router="closed_form", experts=["sst2"])
    assert (len(registry.experts()), registry.generations()) == (1, [])


def test_a_time_without_a_zone_is_refused(registry: Registry) -> None:
    with pytest.raises(InvalidSettingError, match="names no time zone"):
        registry.add_base_model(replace(BASE, created_at=datetime(2026, 1, 1)))


def test_another_handle_sees_what_was_added_and_the_cache_is_a_folder(registry: Registry) -> None:
    add_expert(registry)
    with Registry(str(registry.home)) as other:
        assert other.experts() == registry.experts()
        assert other.cache.is_dir()


def test_the_default_home_is_the_users_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with Registry() as registry, Registry("~/experts") as other:
        assert registry.home == tmp_path / "data" / "expert-registry"
        assert other.home == tmp_path / "experts"


def test_every_error_is_a_registry_error() -> None:
    own = [error for error in RegistryError.__subclasses__() if error.__module__ == "registry.errors"]
    assert {error.__name__ for error in own} == {
        "NotFoundError",
        "ConflictError",
        "DataRefusedError",
        "InvalidSettingError",
        "DamagedError",
        "StorageError",
        "SchemaError",
    }
