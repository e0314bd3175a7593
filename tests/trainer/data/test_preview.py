"""A file is shown as far as it can be read, and what is wrong with it is said instead of raised."""

from collections.abc import Callable
from pathlib import Path

from tests.ui.commands import mood_rows
from trainer import kinds
from trainer.data import preview, read_task

Write = Callable[..., Path]
KINDS = kinds.load_all("tasks")


def test_a_good_file_is_shown_with_its_rows_as_the_reader_takes_them(csv_file: Write) -> None:
    path = csv_file(mood_rows(), ("sentence", "label"))
    shown = preview(path, KINDS)
    assert shown.data == read_task(path, KINDS)
    assert shown.head == [(line, list(row)) for line, row in enumerate(mood_rows()[:10], start=2)]
    assert shown.findings[:2] == (
        "cells are separated by commas",
        "columns used: 'sentence' as text, 'label'",
    )
    assert shown.refusal is None


def test_rows_that_are_refused_are_shown_with_the_reason_and_the_line(csv_file: Write) -> None:
    shown = preview(csv_file([*mood_rows(), (" ", "good")]), KINDS)
    assert shown.data is None
    assert len(shown.head) == 10
    assert shown.refusal == "task.csv, line 122: the text is empty"
    assert shown.findings == ("cells are separated by commas",)


def test_a_file_that_is_no_table_is_named_without_the_folder_it_was_put_in(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"PK\x03\x04 not text")
    shown = preview(path, KINDS)
    assert (shown.source, shown.table, shown.head, shown.findings) == ("table.csv", None, [], ())
    assert shown.refusal == (
        "table.csv: holds zip or spreadsheet data, not text; unpack it to .csv, .tsv or .jsonl first"
    )


def test_columns_can_be_named_and_a_wrong_name_is_said(csv_file: Write) -> None:
    path = csv_file(mood_rows(), ("words", "mood"))
    assert preview(path, KINDS).refusal == (
        "task.csv, line 1: no column is known as the text; its columns are 'words', 'mood'; say which"
        " with --text, or call one of them 'text'"
    )
    named = preview(path, KINDS, kind="classification", text="words", label="mood")
    assert named.data is not None
    assert named.data.columns == {"text": "words", "label": "mood"}
    wrong = preview(path, KINDS, text="word", label="mood")
    assert (
        wrong.refusal == "task.csv has no column 'word'. Did you mean 'words'? Its columns: 'words', 'mood'"
    )
