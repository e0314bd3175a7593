"""From a file to the rows of a task: columns, kinds, given splits, canonical bytes."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from registry.errors import DataRefusedError, InvalidSettingError, NotFoundError
from trainer.data import Row, TaskData, read_table, read_task, read_texts
from trainer.inputs import Input
from trainer.tasks import classification

KINDS = {"classification": classification}
CsvFile = Callable[..., Path]


class Choice:
    """A second kind of task, without labels, to tell apart from classification."""

    REQUIRED = ("text", "choice_0", "choice_1", "label")
    OPTIONAL = ("text_pair",)
    TARGET = "label"

    @staticmethod
    def recognises(columns: Mapping[str, str], rows: Sequence[Row]) -> bool:
        return set(Choice.REQUIRED) <= set(columns)

    @staticmethod
    def labels_of(row: Row) -> tuple[str, ...]:
        return ()

    @staticmethod
    def check(rows: Sequence[Row]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return (), (f"{len(rows)} questions",)


def labelled(count: int, start: int = 0, labels: Sequence[str] = ("no", "yes")) -> list[list[str]]:
    return [[f"sentence number {n}", labels[n % len(labels)]] for n in range(start, start + count)]


def refused(path: Path, **options: str | Path) -> str:
    with pytest.raises(DataRefusedError) as caught:
        read_task(path, KINDS, **options)  # type: ignore[arg-type]
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_a_file_becomes_a_task(csv_file: CsvFile) -> None:
    path = csv_file([[*row, "x"] for row in labelled(400)], ("review", "category", "source"))
    data = read_task(path, KINDS)
    assert (data.kind, data.labels, data.source) == ("classification", ("no", "yes"), str(path))
    assert data.columns == {"text": "review", "label": "category"}
    assert [dict(row.values) for row in data.rows] == [
        {"text": t, "label": label} for t, label in labelled(400)
    ]
    assert [row.line for row in data.rows] == list(range(2, 402))
    assert data.counts() == {"train": 322, "validation": 37, "test": 41}
    assert data.findings == (
        "cells are separated by commas",
        "columns used: 'review' as text, 'category' as label; not used: 'source'",
        "rows set aside by the hash of their text: 37 for validation and 41 for test",
    )
    assert data.split("test") == [row for row in data.rows if row.split == "test"]


@pytest.mark.parametrize("count", [4, 5, 10, 20, 50, 240, 400])
def test_small_files_have_every_label_in_train_and_no_empty_split(count: int, csv_file: CsvFile) -> None:
    data = read_task(csv_file(labelled(count)), KINDS)
    assert {row.values["label"] for row in data.split("train")} == {"no", "yes"}
    assert min(data.counts().values()) >= 1


def test_the_same_rows_are_the_same_task_in_every_format(csv_file: CsvFile, tmp_path: Path) -> None:
    rows = labelled(40)
    path = csv_file(rows)
    tsv = tmp_path / "task.tsv"
    tsv.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows), encoding="utf-16")
    jsonl = tmp_path / "task.jsonl"
    jsonl.write_text("".join(f'{{"label": "{label}", "text": "{text}"}}\n' for text, label in rows))
    first = read_task(path, KINDS)
    assert read_task(tsv, KINDS).to_jsonl() == read_task(jsonl, KINDS).to_jsonl() == first.to_jsonl()
    assert read_task(tsv, KINDS).rows == first.rows


def test_a_split_column_is_respected(csv_file: CsvFile) -> None:
    said = ["train"] * 30 + ["dev"] * 5 + ["Test"] * 5
    path = csv_file(
        [[*row, split] for row, split in zip(labelled(40), said, strict=True)], ("text", "label", "split")
    )
    data = read_task(path, KINDS)
    assert [row.split for row in data.rows] == ["train"] * 30 + ["validation"] * 5 + ["test"] * 5
    assert data.columns == {"text": "text", "label": "label"}
    assert data.findings[1] == "columns used: 'text', 'label', 'split'"


def test_given_files_are_respected_and_the_rest_is_set_aside(csv_file: CsvFile) -> None:
    path, test = csv_file(labelled(100)), csv_file(labelled(30, 100), name="test.csv")
    data = read_task(path, KINDS, test=test)
    assert [row.text for row in data.split("test")] == [text for text, _ in labelled(30, 100)]
    assert {row.source for row in data.split("test")} == {str(test)}
    assert data.counts() == {"train": 93, "validation": 7, "test": 30}
    both = read_task(path, KINDS, test=test, validation=csv_file(labelled(9, 200), name="dev.csv"))
    assert both.counts() == {"train": 100, "validation": 9, "test": 30}


def test_texts_shared_with_a_given_file_are_said(csv_file: CsvFile) -> None:
    data = read_task(csv_file(labelled(50)), KINDS, test=csv_file(labelled(10, 45), name="test.csv"))
    assert any("of test have a text that is also in train" in finding for finding in data.findings)


def test_given_splits_that_cannot_be_used_are_refused(csv_file: CsvFile, tmp_path: Path) -> None:
    path = csv_file(labelled(40))
    strange = csv_file([*labelled(4, 40), ["new", "maybe"], ["newer", "maybe"]], name="test.csv")
    assert (
        refused(path, test=strange) == f"{strange}, line 6: the label 'maybe' is in test but in no train row"
    )
    assert refused(path, test=path) == f"{path}: given for test, but it is the data file itself"
    other = csv_file(labelled(4), ("sentence", "label"), name="other.csv")
    assert refused(path, validation=other) == (
        f"{other}, line 1: no column 'text', which {path} has; its columns are 'sentence', 'label'"
    )
    named = csv_file([[*row, "test"] for row in labelled(8)], ("text", "label", "split"), name="named.csv")
    assert refused(named) == f"{named}: no train rows; the split column gives them all to validation or test"
    assert refused(named, test=path).startswith(
        f"{path}: given for test, but the split column of the data file"
    )
    mixed = csv_file([[*row, "train"] for row in labelled(8)], ("text", "label", "split"), name="mixed.csv")
    assert read_task(mixed, KINDS, test=named).counts()["test"] == 8
    assert refused(mixed, validation=named) == (
        f"{named}, line 2: the split column says test in the file given for validation"
    )


def test_too_few_texts_are_refused(csv_file: CsvFile) -> None:
    path = csv_file([["a", "x"], ["a", "x"], ["b", "y"], ["b", "y"]])
    assert refused(path) == (
        f"{path}: too few different texts to set some aside for validation and test;"
        " add rows, or give them as files of their own"
    )


def test_a_pair_needs_both_texts(csv_file: CsvFile) -> None:
    rows = [[text, "and then", label] for text, label in labelled(20)]
    data = read_task(csv_file(rows, ("premise", "hypothesis", "label")), KINDS)
    assert data.columns == {"text": "premise", "label": "label", "text_pair": "hypothesis"}
    assert data.rows[0].text_pair == "and then"
    rows[3][1] = " "
    path = csv_file(rows, ("text", "text_pair", "label"))
    assert refused(path) == f"{path}, line 5: the text_pair is empty"


def test_the_kind_is_told_from_the_columns(csv_file: CsvFile) -> None:
    kinds = {**KINDS, "choice": Choice}
    rows = [[text, "left", "right", str(number % 2)] for number, (text, _) in enumerate(labelled(20))]
    questions = csv_file(rows, ("text", "choice_0", "choice_1", "label"), name="questions.csv")
    assert read_task(csv_file(labelled(20)), kinds).kind == "classification"
    data = read_task(questions, kinds)
    assert (data.kind, data.labels) == ("choice", ())
    assert "20 questions" in data.findings
    assert min(data.counts().values()) >= 1
    assert read_task(questions, kinds, kind="classification").labels == ("0", "1")


def test_a_kind_that_cannot_be_told_is_refused(csv_file: CsvFile) -> None:
    path = csv_file(labelled(20))
    with pytest.raises(DataRefusedError) as caught:
        read_task(path, {"classification": classification, "topics": classification})
    assert str(caught.value) == (
        f"{path}, line 1: the columns 'text', 'label' fit the kinds 'classification', 'topics';"
        " say which with --kind"
    )
    with pytest.raises(DataRefusedError, match="no column is known as the text; its columns are 'a', 'b'"):
        read_task(csv_file(labelled(20), ("a", "b")), {**KINDS, "choice": Choice})
    extra = csv_file([[text, "left", label] for text, label in labelled(20)], ("text", "choice_0", "label"))
    with pytest.raises(
        DataRefusedError, match="fit none of the kinds 'classification', 'choice'; say which with"
    ):
        read_task(extra, {**KINDS, "choice": Choice})
    with pytest.raises(NotFoundError, match="Did you mean 'classification'"):
        read_task(path, KINDS, kind="clasification")


def test_options_name_columns(csv_file: CsvFile) -> None:
    path = csv_file(labelled(20), ("a", "b"))
    assert read_task(path, KINDS, text="a", label="b").columns == {"text": "a", "label": "b"}
    with pytest.raises(NotFoundError, match="has no column 'c'"):
        read_task(path, KINDS, text="a", label="c")
    with pytest.raises(InvalidSettingError, match="is named for two roles"):
        read_task(path, KINDS, text="a", label="a")


def test_texts_to_answer_need_no_label(csv_file: CsvFile) -> None:
    assert read_texts(csv_file([["hello"], ["hello"], [" x "]], ("text",))) == [
        Input("hello"), Input("hello"), Input(" x "),
    ]  # fmt: skip
    path = csv_file([["a", "b", "", "other"]], ("question", "passage", "label", "split"))
    assert read_texts(path) == [Input("a", "b")]
    assert read_texts(path, text="passage") == [Input("b")]
    with pytest.raises(DataRefusedError, match="line 3: the text is empty"):
        read_texts(csv_file([["hello"], [" "]], ("text",)))
    with pytest.raises(DataRefusedError, match="no column is known as the text"):
        read_texts(csv_file([["hello"]], ("hi",)))


def test_canonical_bytes_and_rows_are_each_others_inverse(csv_file: CsvFile) -> None:
    rows = [
        *labelled(20),
        ['quotes " and \\ and\nlines\r\n', "no"],
        ["\u2028 ü 😀 \x1a", "yes"],
        ["e\u0301", "yes"],
    ]
    data = read_task(csv_file(rows), KINDS)
    content = data.to_jsonl()
    again = TaskData.from_jsonl(
        content,
        kind=data.kind,
        labels=data.labels,
        columns=data.columns,
        source=data.source,
        findings=data.findings,
    )
    assert again == data
    assert again.to_jsonl() == content
    assert content.decode().splitlines()[0] == '{"label":"no","split":"train","text":"sentence number 0"}'


def test_canonical_bytes_do_not_depend_on_where_the_rows_stood(csv_file: CsvFile) -> None:
    first = csv_file(labelled(20), name="first.csv")
    second = first.with_name("second.csv")
    second.write_bytes(b"\n\n" + first.read_bytes().replace(b"\r\n", b"\n\n"))
    assert read_task(first, KINDS).to_jsonl() == read_task(second, KINDS).to_jsonl()


@pytest.mark.data
def test_real_rows_are_read() -> None:
    """Labelled sets as they come are taken; the only refusals are of labels with a single row."""
    folder = Path(os.environ.get("REGISTRY_DATA", Path(__file__).parents[4] / "shared" / "data")) / "tasks"
    if not folder.is_dir():
        pytest.skip("no real rows: set REGISTRY_DATA")
    taken, refusals = 0, []
    for train in sorted(folder.glob("*/train.csv"))[:40]:
        [test] = [path for path in train.parent.glob("*.csv") if path != train]
        columns = set(read_table(test).columns)
        if not {"text", "label"} <= columns <= {"text", "text_pair", "label"}:
            continue
        try:
            taken += read_task(train, KINDS, test=test).counts()["test"] > 0
        except DataRefusedError as error:
            refusals.append(str(error))
    assert taken > 20
    assert [refusal for refusal in refusals if "has only this row" not in refusal] == []
