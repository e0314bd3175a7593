"""What holds of any rows and of any damage to them, as checks that hypothesis can be asked to refute.

The tests of this folder ask a few hundred times, the stress part `reader` ten thousand times.
"""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

from hypothesis import assume
from hypothesis import strategies as st

from registry.errors import DataRefusedError
from trainer.data import Row, Table, TaskData, read_table
from trainer.data.rows import SPLITS

Rows = list[tuple[str, str]]
Damages = list[tuple[str, float, int]]

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)
# Characters that mean something to a CSV reader come often.
TRICKY = st.text(st.sampled_from('",;\t|\r\n\\ \ufeffaé\x1a\u2028'), max_size=8)
CELL = st.one_of(TEXT, TRICKY)
ROWS = st.lists(st.tuples(CELL, CELL), min_size=1, max_size=6)
DAMAGE = st.tuples(
    st.sampled_from(["replace", "insert", "delete"]),
    st.floats(0, 1, exclude_max=True),
    st.one_of(st.sampled_from(list(b'",;\t|\r\n\\\x00\x1a\xff\xed{')), st.integers(0, 255)),
)
DAMAGES = st.lists(DAMAGE, min_size=1, max_size=3)


def reading(folder: Path, content: bytes, name: str = "task.csv") -> Table:
    path = folder / name
    path.write_bytes(content)
    return read_table(path)


def refused_with_its_line(error: DataRefusedError, folder: Path, name: str = "task.csv") -> bool:
    """Whether it is one line that can be printed, and names file and line."""
    start = rf"{re.escape(str(folder / name))}, line \d+: "
    return re.match(start, str(error)) is not None and str(error).isprintable()


def written(rows: Rows, delimiter: str = ",", end: str = "\r\n") -> str:
    """The rows as CSV; with LF as line end all is quoted, since `csv` forgets to quote a CR then."""
    buffer = io.StringIO(newline="")
    quoting = csv.QUOTE_MINIMAL if end == "\r\n" else csv.QUOTE_ALL
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow(["text", "label"])
    writer.writerows(rows)
    return buffer.getvalue()


def damaged(content: bytes, damages: Damages) -> bytes:
    for how, where, byte in damages:
        place = int(where * len(content))
        rest = content[place:] if how == "insert" else content[place + 1 :]
        content = content[:place] + (b"" if how == "delete" else bytes([byte])) + rest
    return content


def same_from_csv(folder: Path, rows: Rows, delimiter: str, end: str, encoding: str) -> None:
    table = reading(folder, written(rows, delimiter, end).encode(encoding))
    assert table.columns == ("text", "label")
    assert [tuple(cells) for cells in table.rows] == rows


def same_from_json_lines(folder: Path, rows: Rows) -> None:
    table = reading(folder, json_lines(rows), "task.jsonl")
    assert [tuple(cells) for cells in table.rows] == rows
    assert table.lines == list(range(1, len(rows) + 1))


def json_lines(rows: Rows) -> bytes:
    lines = [
        json.dumps({"text": text, "label": label}, ensure_ascii=len(text) % 2 == 0) for text, label in rows
    ]
    return "\n".join(lines).encode()


def same_from_canonical_bytes(_folder: Path, rows: list[tuple[str, str, str]]) -> None:
    data = TaskData(
        kind="classification",
        labels=(),
        rows=tuple(Row({"text": text, "label": label}, split) for text, label, split in rows),  # type: ignore[arg-type]
    )
    again = TaskData.from_jsonl(data.to_jsonl(), kind="classification", labels=())
    assert again == data
    assert again.to_jsonl() == data.to_jsonl()


def damage_is_read_as_it_stands_or_refused(folder: Path, rows: Rows, damages: Damages) -> None:
    content = damaged(written(rows).encode(), damages)
    try:
        table = reading(folder, content)
    except DataRefusedError as error:
        assert refused_with_its_line(error, folder)
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


def damaged_json_lines_are_read_as_they_stand_or_refused(folder: Path, rows: Rows, damages: Damages) -> None:
    content = damaged(json_lines(rows), damages)
    try:
        table = reading(folder, content, "task.jsonl")
    except DataRefusedError as error:
        assert refused_with_its_line(error, folder, "task.jsonl")
        return
    text = content.removeprefix(b"\xef\xbb\xbf").decode()
    lines = re.split("\n" if "\n" in text else "\r", text)
    records = [json.loads(line, parse_int=str, parse_float=str) for line in lines if line.strip()]
    literal = {True: "true", False: "false"}
    wanted = [[literal.get(record[name], record[name]) for name in table.columns] for record in records]
    assert table.rows == wanted


def damaged_text_never_changes_a_label(folder: Path, rows: Rows, data: st.DataObject) -> None:
    """One byte of one text is changed, inserted or deleted: all labels are as they were, or none is taken."""
    whole = written(rows).encode()
    row = data.draw(st.integers(0, len(rows) - 1))
    start = len(written(rows[:row]).encode())
    text = written([(rows[row][0], "")]).encode()[len(b"text,label\r\n") : -len(b",\r\n")]
    damage = data.draw(DAMAGE)
    assume(damage[0] == "insert" or text)
    content = whole[:start] + damaged(text, [damage]) + whole[start + len(text) :]
    try:
        table = reading(folder, content)
    except DataRefusedError as error:
        assert refused_with_its_line(error, folder)
        return
    assert [cells[1] for cells in table.rows] == [label for _, label in rows]


def any_bytes_are_rows_or_a_refusal(folder: Path, content: bytes, name: str) -> None:
    try:
        table = reading(folder, content, name)
    except DataRefusedError as error:
        assert str(error).isprintable()
        return
    assert len(table.rows) == len(table.lines) > 0


PROPERTIES: dict[Callable[..., None], tuple[st.SearchStrategy[object], ...]] = {
    same_from_csv: (
        ROWS,
        st.sampled_from(",;\t|"),
        st.sampled_from(["\n", "\r\n"]),
        st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    ),
    same_from_json_lines: (ROWS,),
    same_from_canonical_bytes: (
        st.lists(st.tuples(CELL, CELL, st.sampled_from(SPLITS)), min_size=1, max_size=8),
    ),
    damage_is_read_as_it_stands_or_refused: (ROWS, DAMAGES),
    damaged_json_lines_are_read_as_they_stand_or_refused: (ROWS, DAMAGES),
    damaged_text_never_changes_a_label: (ROWS, st.data()),
    any_bytes_are_rows_or_a_refusal: (st.binary(max_size=60), st.sampled_from(["task.csv", "task.jsonl"])),
}
"""Each check, and what to give it after a folder to work in."""
