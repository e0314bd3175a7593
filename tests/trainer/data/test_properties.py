"""Any rows survive being written and read; damaged ones are read as they stand, or refused with the line."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from registry.errors import DataRefusedError
from trainer.data import Row, Table, TaskData, read_table
from trainer.data.rows import SPLITS

QUICK = settings(
    derandomize=True,
    database=None,
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)
# Characters that mean something to a CSV reader come often.
TRICKY = st.text(st.sampled_from('",;\t|\r\n\\ \ufeffaé\x1a\u2028'), max_size=8)
CELL = st.one_of(TEXT, TRICKY)
ROWS = st.lists(st.tuples(CELL, CELL), min_size=1, max_size=6)


def reading(tmp_path: Path, content: bytes, name: str = "task.csv") -> Table:
    path = tmp_path / name
    path.write_bytes(content)
    return read_table(path)


def written(rows: list[tuple[str, str]], delimiter: str = ",", end: str = "\r\n") -> str:
    """The rows as CSV; with LF as line end all is quoted, since `csv` forgets to quote a CR then."""
    buffer = io.StringIO(newline="")
    quoting = csv.QUOTE_MINIMAL if end == "\r\n" else csv.QUOTE_ALL
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow(["text", "label"])
    writer.writerows(rows)
    return buffer.getvalue()


@QUICK
@given(
    ROWS,
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_rows_written_as_csv_are_read_back_the_same(
    tmp_path: Path, rows: list[tuple[str, str]], delimiter: str, end: str, encoding: str
) -> None:
    table = reading(tmp_path, written(rows, delimiter, end).encode(encoding))
    assert table.columns == ("text", "label")
    assert [tuple(cells) for cells in table.rows] == rows


@QUICK
@given(ROWS)
def test_rows_written_as_json_lines_are_read_back_the_same(
    tmp_path: Path, rows: list[tuple[str, str]]
) -> None:
    lines = [
        json.dumps({"text": text, "label": label}, ensure_ascii=len(text) % 2 == 0) for text, label in rows
    ]
    table = reading(tmp_path, "\n".join(lines).encode(), "task.jsonl")
    assert [tuple(cells) for cells in table.rows] == rows
    assert table.lines == list(range(1, len(rows) + 1))


@QUICK
@given(st.lists(st.tuples(CELL, CELL, st.sampled_from(SPLITS)), min_size=1, max_size=8))
def test_canonical_bytes_are_read_back_the_same(rows: list[tuple[str, str, str]]) -> None:
    data = TaskData(
        kind="classification",
        labels=(),
        rows=tuple(Row({"text": text, "label": label}, split) for text, label, split in rows),  # type: ignore[arg-type]
    )
    again = TaskData.from_jsonl(data.to_jsonl(), kind="classification", labels=())
    assert again == data
    assert again.to_jsonl() == data.to_jsonl()


DAMAGE = st.tuples(
    st.sampled_from(["replace", "insert", "delete"]),
    st.floats(0, 1, exclude_max=True),
    st.one_of(st.sampled_from(list(b'",;\t|\r\n\\\x00\x1a\xff\xed{')), st.integers(0, 255)),
)


def damaged(content: bytes, how: str, where: float, byte: int) -> bytes:
    place = int(where * len(content))
    rest = content[place:] if how == "insert" else content[place + 1 :]
    return content[:place] + (b"" if how == "delete" else bytes([byte])) + rest


@QUICK
@given(ROWS, st.lists(DAMAGE, min_size=1, max_size=3))
def test_a_damaged_file_is_read_as_it_stands_or_refused_with_its_line(
    tmp_path: Path, rows: list[tuple[str, str]], damages: list[tuple[str, float, int]]
) -> None:
    content = written(rows).encode()
    for how, where, byte in damages:
        content = damaged(content, how, where, byte)
    try:
        table = reading(tmp_path, content)
    except DataRefusedError as error:
        assert re.match(rf"{re.escape(str(tmp_path))}/task\.csv, line \d+: ", str(error))
        assert str(error).isprintable()
        return
    assert table.rows == as_it_stands(content.removeprefix(b"\xef\xbb\xbf").decode(), table)
    assert {len(cells) for cells in table.rows} == {len(table.columns)}


def as_it_stands(text: str, table: Table) -> list[list[str]]:
    """What the plain CSV rules give below the header, with the delimiter that was said."""
    [delimiter] = [
        sign for name, sign in {"commas": ",", "semicolons": ";", "tabs": "\t", "bars": "|"}.items()
        if table.findings and table.findings[0].endswith(name)
    ] or [","]  # fmt: skip
    end = "\n" if "\n" in text else "\r"
    lines = re.findall(rf"[^{end}]*{end}|[^{end}]+\Z", text)
    return [cells for cells in csv.reader(lines, delimiter=delimiter, strict=True) if cells][1:]


@QUICK
@given(ROWS, st.data())
def test_a_damaged_text_never_changes_a_label(
    tmp_path: Path, rows: list[tuple[str, str]], data: st.DataObject
) -> None:
    """One byte of one text is changed, inserted or deleted: all labels are as they were, or none is taken."""
    whole = written(rows).encode()
    row = data.draw(st.integers(0, len(rows) - 1))
    start = len(written(rows[:row]).encode())
    text = written([(rows[row][0], "")]).encode()[len(b"text,label\r\n") : -len(b",\r\n")]
    how, where, byte = data.draw(DAMAGE)
    assume(how == "insert" or text)
    changed = damaged(text, how, where, byte)
    content = whole[:start] + changed + whole[start + len(text) :]
    try:
        table = reading(tmp_path, content)
    except DataRefusedError as error:
        assert re.match(rf"{re.escape(str(tmp_path))}/task\.csv, line \d+: ", str(error))
        return
    assert [cells[1] for cells in table.rows] == [label for _, label in rows]


@QUICK
@given(st.binary(max_size=60), st.sampled_from(["task.csv", "task.jsonl"]))
def test_any_bytes_are_rows_or_a_refusal(tmp_path: Path, content: bytes, name: str) -> None:
    try:
        table = reading(tmp_path, content, name)
    except DataRefusedError as error:
        assert str(error).isprintable()
        return
    assert len(table.rows) == len(table.lines) > 0


def test_a_refusal_is_not_another_error_in_disguise(tmp_path: Path) -> None:
    with pytest.raises(DataRefusedError) as caught:
        reading(tmp_path, b"\xff")
    assert caught.value.__suppress_context__
