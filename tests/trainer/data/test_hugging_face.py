"""Datasets of the Hugging Face library: what their columns, classes and splits become, or why not."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from registry import Registry
from registry.errors import DataRefusedError, InvalidSettingError
from tests.trainer.samples import QUICK, TASKS
from trainer import add_task, evaluate, kinds
from trainer.base_model import BaseModel
from trainer.data import TaskData, read_table, read_task, task_name

MOOD = ClassLabel(names=["bad", "good"])
ROWS = [(text, label) for text, label in TASKS["mood"][0]]


def dataset(rows: list[tuple[Any, ...]], *, name: str | None = "mood", **columns: Any) -> Dataset:
    """A dataset of these columns; `name` as `load_dataset` sets it."""
    found = Dataset.from_dict(
        {column: [row[place] for row in rows] for place, column in enumerate(columns)},
        features=Features(columns),
    )
    found.info.dataset_name = name
    return found


def moods(count: int | None = None, start: int = 0) -> Dataset:
    rows = ROWS[start:] if count is None else ROWS[start : start + count]
    return dataset([(text, MOOD.str2int(label)) for text, label in rows], text=Value("string"), label=MOOD)


def read(data: Any, **options: Any) -> TaskData:
    return read_task(data, kinds.load_all("tasks"), **options)


def test_classes_are_told_by_their_names() -> None:
    found = read(moods())
    assert (found.kind, found.labels, found.source) == ("classification", ("bad", "good"), "mood.arrow")
    assert [(row.values["text"], row.values["label"]) for row in found.rows] == ROWS
    assert {row.split for row in found.rows} == {"train", "validation", "test"}


def test_its_splits_are_those_of_the_rows_and_others_are_left_out() -> None:
    data = DatasetDict(train=moods(30), validation=moods(8, 30), test=moods(10, 38), unsupervised=moods(5))
    found = read(data)
    assert found.counts() == {"train": 30, "validation": 8, "test": 10}
    assert "splits that are not train, validation or test are left out: 'unsupervised'" in found.findings
    only = read(DatasetDict(train=moods(40), dev=moods(8, 40)))
    assert only.counts()["validation"] == 8 and only.counts()["test"] > 0


def test_a_split_without_rows_is_set_aside_as_if_it_were_not_there() -> None:
    found = read(DatasetDict(train=moods(40), test=moods(0)))
    assert found.counts()["test"] > 0 and sum(found.counts().values()) == 40


def test_rows_whose_class_is_hidden_are_left_out_and_counted() -> None:
    hidden = dataset([(text, -1) for text, _ in ROWS[:7]], text=Value("string"), label=MOOD)
    found = read(DatasetDict(train=moods(), test=hidden))
    assert len(found.rows) == len(ROWS)
    assert "rows without a label are left out: 7 of test have the class -1" in found.findings


def test_numbers_are_written_as_shortly_as_their_precision_allows() -> None:
    rows = [("a man", "a person", 3.8), ("a dog", "a cat", 0.0), ("a car", "the car", 5.0)]
    columns = {"sentence1": Value("string"), "sentence2": Value("string"), "score": Value("float32")}
    table = read_table(dataset(rows, **columns))
    assert [row[2] for row in table.rows] == ["3.8", "0.0", "5.0"]
    kinds_of_value = {"int8": -3, "uint16": 7, "bool": True, "float64": 0.1, "large_string": "ä"}
    table = read_table(
        dataset([tuple(kinds_of_value.values())], **{kind: Value(kind) for kind in kinds_of_value})
    )
    assert table.rows == [["-3", "7", "true", "0.1", "ä"]]


def test_lists_of_classes_are_several_labels() -> None:
    rows = [(f"row {place} of {place % 3}", [place % 3, 2] if place % 3 < 2 else [2]) for place in range(40)]
    columns = {"text": Value("string"), "labels": List(ClassLabel(names=["joy", "fear", "calm"]))}
    found = read(dataset(rows, **columns), kind="multi_label")
    assert (found.kind, found.labels) == ("multi_label", ("calm", "fear", "joy"))
    assert found.rows[0].values["label"] == "joy|calm"


def test_a_transform_of_a_person_is_not_run() -> None:
    def explode(batch: object) -> dict[str, Any]:
        raise RuntimeError("run")

    assert len(read(moods().with_transform(explode)).rows) == len(ROWS)


def test_only_its_own_rows_count_where_a_dataset_is_a_selection() -> None:
    some = moods().select(range(4, 40)).filter(lambda row: "film" not in row["text"])
    assert [row.values["text"] for row in read(some).rows] == some["text"][:]


def refused(data: Any, error: type[Exception] = DataRefusedError) -> str:
    with pytest.raises(error) as caught:
        read(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            dataset([("a", None)], text=Value("string"), label=MOOD),
            "mood.arrow, row 1: the value of 'label' is null",
        ),
        (
            DatasetDict(
                train=dataset([("a", 0)], text=Value("string"), label=MOOD),
                test=dataset([("a", 0), ("b", None)], text=Value("string"), label=MOOD),
            ),
            "mood.arrow: the value of 'label' is null in row 2 of test; write a text or drop the row",
        ),
        (
            dataset([("a", b"x")], text=Value("string"), image=Value("binary")),
            "mood.arrow: the column 'image' is of the type",
        ),
        (dataset([("a\0b", 1)], text=Value("string"), label=MOOD), "mood.arrow, row 1: a NUL character"),
        (
            dataset([("a", 7)], text=Value("string"), label=Value("int64")).cast_column("label", MOOD),
            "mood.arrow: the class 7 of 'label' is none of its 2: 0 to 1",
        ),
        (dataset([], text=Value("string"), label=MOOD), "mood.arrow: no rows: the dataset is empty"),
        (DatasetDict(), "no splits, and no rows of train, validation or test: give one split"),
        (
            DatasetDict(unsupervised=moods(5)),
            "'unsupervised', and no rows of train, validation or test",
        ),
        (
            DatasetDict(train=moods(30), test=moods(5).remove_columns("label")),
            "its splits have different columns",
        ),
        (
            dataset([("a", ["x|y"])], text=Value("string"), labels=List(Value("string"))),
            "a value of 'labels' holds '|'",
        ),
    ],
)
def test_what_cannot_be_taken_is_refused_in_a_line(data: Any, reason: str) -> None:
    assert reason in refused(data)


def test_what_is_no_dataset_is_refused_in_a_line() -> None:
    assert "load it with streaming=False" in refused(moods().to_iterable_dataset(), InvalidSettingError)
    assert "'[1, 2]' holds no rows: give the path of a file" in refused([1, 2], InvalidSettingError)


def test_a_task_is_called_as_its_dataset_and_one_without_a_name_needs_one() -> None:
    assert task_name(DatasetDict(train=moods())) == "mood"
    with pytest.raises(InvalidSettingError, match="has no name: give the task one"):
        task_name(dataset([("a", 1)], name=None, text=Value("string"), label=MOOD))


def test_a_dataset_becomes_an_expert_and_measures_it(
    registry: Registry, llama: BaseModel, tmp_path: Path
) -> None:
    data = DatasetDict(train=moods(30), validation=moods(8, 30), test=moods(10, 38))
    added = add_task(registry, data, base_model=llama, settings=QUICK)
    assert (added.expert.name, added.expert.labels) == ("mood@1", ("bad", "good"))
    assert registry.dataset("mood", 1).rows == {"train": 30, "validation": 8, "test": 10}
    found = evaluate(registry, "mood", data=moods(10, 38), device="cpu")
    assert found.metrics == added.metrics["test"]
    # The same rows in a file are the same task rows, whatever they came from.
    path = tmp_path / "mood.csv"
    lines = [f"{text},{label},{split}" for split, one in data.items() for text, label in _named(one)]
    path.write_text("\n".join(["text,label,split", *lines, ""]))
    assert not add_task(registry, path, base_model=llama, settings=QUICK).created


def _named(data: Dataset) -> list[tuple[str, str]]:
    return [(row["text"], MOOD.int2str(row["label"])) for row in data]


def test_the_library_is_loaded_only_where_a_dataset_is_given(tmp_path: Path) -> None:
    path = tmp_path / "mood.csv"
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS))
    code = (
        "import sys; from trainer import kinds; from trainer.data import read_task; "
        f"read_task({str(path)!r}, kinds.load_all('tasks')); print('datasets' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert datasets.__version__
