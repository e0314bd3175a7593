"""Parquet as strictly as text: the same rows, or one line that says why not, and no more memory than that."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from registry.errors import DataRefusedError
from trainer.data import pages, read_table, read_task, read_texts
from trainer.inputs import Input
from trainer.tasks import classification

KINDS = {"classification": classification}
HELLO = {"text": ["hello", "bye", "hi", "see you"], "label": ["in", "out", "in", "out"]}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(columns: Any, **options: Any) -> Path:
        path = tmp_path / "task.parquet"
        parquet.write_table(pyarrow.table(columns), path, **options)
        return path

    return written


def refused(path: Path) -> str:
    with pytest.raises(DataRefusedError) as caught:
        read_table(path)
    said = str(caught.value)
    assert said.isprintable()
    return said.removeprefix(str(path))


TEXT_TYPES = (
    pyarrow.string(),
    pyarrow.large_string(),
    pyarrow.string_view(),
    pyarrow.dictionary(pyarrow.int8(), pyarrow.string()),
    pyarrow.dictionary(pyarrow.int32(), pyarrow.large_string()),
)


@pytest.mark.parametrize("kind", TEXT_TYPES, ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_dictionary": False, "compression": "zstd", "row_group_size": 3},
        {"store_schema": False, "version": "1.0", "data_page_version": "2.0"},
    ],
    ids=["default", "plain", "old"],
)
def test_text_is_taken_as_it_is_however_it_is_written(
    write: Write, kind: pyarrow.DataType, options: dict[str, Any]
) -> None:
    texts = ["NA", " 007 ", "日本\n😀", "", "NA"]
    table = read_table(write({"text": pyarrow.array(texts).cast(kind), "label": texts}, **options))
    assert table.rows == [[text, text] for text in texts]
    assert (table.columns, table.lines, table.findings) == (("text", "label"), [1, 2, 3, 4, 5], ())


def test_the_same_rows_give_the_same_task_as_text_does(write: Write, tmp_path: Path) -> None:
    path = write({"Review": HELLO["text"], "label": HELLO["label"], "note": HELLO["text"]})
    text = tmp_path / "task.csv"
    lines = zip(*HELLO.values(), HELLO["text"], strict=True)
    text.write_text("Review,label,note\n" + "".join(",".join(line) + "\n" for line in lines))
    taken, other = (read_task(one, KINDS) for one in (path, text))
    assert (taken.rows, taken.labels, taken.columns) == (other.rows, other.labels, other.columns)
    assert taken.to_jsonl() == other.to_jsonl()
    assert read_texts(path) == [Input(text) for text in HELLO["text"]]


def test_whole_numbers_and_true_false_are_taken_as_text_which_is_said(write: Write) -> None:
    numbers = pyarrow.array([2**64 - 1, 0], pyarrow.uint64())
    table = read_table(write({"text": ["a", "b"], "label": [-7, 10], "n": numbers, "b": [True, False]}))
    assert table.rows == [["a", "-7", str(2**64 - 1), "true"], ["b", "10", "0", "false"]]
    assert table.findings[0].startswith("column 'label' holds whole numbers or true/false, taken as text")
    assert len(table.findings) == 3


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ([1.0, 2.0], "double"),
        ([b"a", b"b"], "binary"),
        ([["a"], ["b"]], "list<element: string>"),
        ([{"a": "x"}, {"a": "y"}], "struct<a: string>"),
        ([None, None], "null"),
        (pyarrow.array([1, 2], pyarrow.date32()), "date32[day]"),
        (pyarrow.array([1, 2]).cast(pyarrow.decimal128(30, 2)), "decimal128(30, 2)"),
    ],
)
def test_other_types_are_refused(write: Write, column: Any, kind: str) -> None:
    assert refused(write({"text": ["a", "b"], "label": column})) == (
        f": the column 'label' is of the type '{kind}'; only text, whole numbers and true/false are read:"
        " write it as text, or leave it out"
    )


@pytest.mark.parametrize("label", [["x"] * 5000 + [None], [1] * 5000 + [None], [True] * 5000 + [None]])
def test_a_null_is_refused_with_its_row(write: Write, label: list[Any]) -> None:
    path = write({"text": ["a"] * 5001, "label": label})
    assert refused(path) == ", row 5001: the value of 'label' is null; write a text or drop the row"


def test_what_the_rows_say_is_checked_with_the_row(write: Write) -> None:
    assert refused(write({"text": ["a", "b\0"]})) == ", row 2: a NUL character; remove it"
    assert (
        refused(write({"text": ["a", "x" * 100_001]})) == ", row 2: a cell has more than 100,000 characters"
    )
    broken = pyarrow.array([b"a", b"\xff"]).view(pyarrow.string())
    assert refused(write({"text": broken})) == ", row 2: the value of 'text' is not UTF-8"
    path = write({"text": ["a", "b", "a", "d"], "label": ["in", "\u0440os", "pos", "pos"]})
    with pytest.raises(DataRefusedError, match=r"task\.parquet, row 1: the label 'in' has only this row"):
        read_task(path, KINDS)
    assert read_table(write({"text": ["a", "\x07"]})).findings == (
        "control characters are kept as written (first: row 2)",
    )


def test_columns_are_found_and_refused_as_in_text(write: Write) -> None:
    with pytest.raises(DataRefusedError, match=r"task\.parquet: no column is known as the text; its columns"):
        read_texts(write({"first": ["a"], "second": ["b"]}))
    twice = pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 2, names=["text", "text"])
    assert "the column name 'text' appears twice" in refused(write(twice))
    assert refused(write({f"c{n}": ["a"] for n in range(65)})) == (
        ": 65 columns, more than the 64 that are read"
    )
    assert refused(write({"text": pyarrow.array([], pyarrow.string())})) == ": no rows: the file is empty"


def repeated(text: str, times: int) -> pyarrow.Array:
    return pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * times, pyarrow.int32()), [text])


@pytest.mark.parametrize(
    ("column", "options", "reason"),
    [
        (lambda: repeated("x", 1_000_001), {}, "more than 1,000,000 rows, the most that are read"),
        (
            lambda: repeated("x" * 99_000, 100_000),
            {},
            "holds more than 50,000,000 bytes of text, the most that is read",
        ),
        (
            lambda: pyarrow.array(["x" * 1_000_000] * 150),
            {"use_dictionary": False, "compression": "zstd"},
            "unpacks to more than 100,000,000 bytes, the most that is read",
        ),
        (
            lambda: pyarrow.array(["x" * 90_000] * 1_000),
            {"use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY"},
            "texts in the encoding DELTA_BYTE_ARRAY are not read; write the file with PLAIN",
        ),
    ],
    ids=["rows", "dictionary", "zstd", "delta"],
)
def test_a_small_file_for_a_huge_table_is_refused_before_it_is_decoded(
    write: Write, column: Callable[[], pyarrow.Array], options: dict[str, Any], reason: str
) -> None:
    path = write({"text": column()}, **options)
    assert path.stat().st_size < 250_000
    counted = pyarrow.proxy_memory_pool(pyarrow.system_memory_pool())
    usual = pyarrow.default_memory_pool()
    pyarrow.set_memory_pool(counted)
    try:
        assert refused(path) == f": {reason}"
    finally:
        pyarrow.set_memory_pool(usual)
    assert counted.max_memory() < 2_000_000


def test_a_page_that_says_more_than_the_footer_is_found(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write({"text": ["x" * 50_000] * 20}, use_dictionary=False, compression="zstd")
    content = path.read_bytes()
    footer = pages.read_footer(content)
    assert (footer.rows, footer.columns, len(footer.chunks)) == (20, 1, 1)
    with pytest.raises(pages.DamagedPageError, match="unpacks to more than 500,000 bytes"):
        pages.check_pages(content, footer, most=500_000)
    monkeypatch.setattr(pages, "MAX_PAGES", 0)
    with pytest.raises(pages.DamagedPageError, match="more than 0 pages"):
        pages.check_pages(content, footer, most=10_000_000)


def test_a_file_that_is_cut_damaged_or_encrypted_is_refused_in_one_line(write: Write) -> None:
    path = write({"text": [f"text {n}" for n in range(400)], "label": ["a", "b"] * 200})
    whole = path.read_bytes()
    for end in (0, 3, 4, 8, 20, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:end])
        assert refused(path) == ": not a whole Parquet file: it does not begin and end with PAR1"
    for changed in (b"PARE" + whole[4:], whole[:-4] + b"PARE"):
        path.write_bytes(changed)
        assert refused(path) == ": encrypted Parquet is not read; write it without encryption"
    rows = [[f"text {n}", "ab"[n % 2]] for n in range(400)]
    for place in range(4, len(whole) - 4, 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            assert len(read_table(path).rows) == len(rows)
        except DataRefusedError as error:
            assert "\n" not in str(error)


def test_notes_of_pandas_are_not_read(write: Write) -> None:
    """They could hide columns or turn them into objects; a column of an index is a column like any other."""
    notes = {
        b"pandas": b'{"index_columns": ["text"], "columns": [{"name": "text", "pandas_type": "object"}]}'
    }
    table = pyarrow.table(HELLO).replace_schema_metadata(notes)
    assert read_table(write(table)).columns == ("text", "label")
