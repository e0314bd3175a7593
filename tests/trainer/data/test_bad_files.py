"""Twenty-nine files that usual readers misread in silence, each with the verdict it gets here."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry.errors import DataRefusedError
from trainer.data import read_table, read_task
from trainer.tasks import classification

KINDS = {"classification": classification}


@dataclass(frozen=True)
class Refused:
    line: int
    reason: str


Taken = list[tuple[str, str]]
HELLO: Taken = [("hello", "1"), ("bye", "0")]

FILES: dict[str, tuple[bytes, Taken | Refused]] = {
    "utf8": (b"text,label\nhello,1\nbye,0\n", HELLO),
    "bom": (b"\xef\xbb\xbftext,label\nhello,1\nbye,0\n", HELLO),
    "utf16": ("text,label\nhello,1\nbye,0\n".encode("utf-16"), HELLO),
    "latin1": (
        "text,label\ncafé,1\nbye,0\n".encode("latin-1"),
        Refused(2, "byte offset 14 (0xe9) is not UTF-8"),
    ),
    "nul": (b"text,label\nhe\x00llo,1\nbye,0\n", Refused(2, "a NUL character")),
    "ragged_long": (
        b"text,label\nhello,1,extra\nbye,0\n",
        Refused(2, "3 cells where the header names 2 columns"),
    ),
    "ragged_long_all": (
        b"text,label\nhello,1,9\nbye,0,9\n",
        Refused(2, "3 cells where the header names 2 columns"),
    ),
    "ragged_short": (b"text,label\nhello\nbye,0\n", Refused(2, "1 cell where the header names 2 columns")),
    "unterminated": (
        b'text,label\n"hello,1\nbye,0\n',
        Refused(2, "a quote is opened in this row and never closed"),
    ),
    "newline_in_quotes": (b'text,label\n"hel\nlo",1\nbye,0\n', [("hel\nlo", "1"), ("bye", "0")]),
    "cr_only": (b"text,label\rhello,1\rbye,0\r", HELLO),
    "semicolon": (b"text;label\nhello;1\nbye;0\n", HELLO),
    "duplicate_columns": (b"text,text,label\na,b,1\n", Refused(1, "the column name 'text' appears twice")),
    "na_text": (
        b"text,label\nNA,None\nnull,nan\nN/A,yes\n",
        [("NA", "None"), ("null", "nan"), ("N/A", "yes")],
    ),
    "leading_zero": (b"text,label\na,007\nb,010\n", [("a", "007"), ("b", "010")]),
    "mixed_label": (b"text,label\na,1\nb,x\n", [("a", "1"), ("b", "x")]),
    "bool_label": (b"text,label\na,True\nb,False\n", [("a", "True"), ("b", "False")]),
    "big_int": (b"text,label\na,99999999999999999999\nb,1\n", [("a", "99999999999999999999"), ("b", "1")]),
    "empty": (b"", Refused(1, "no rows: the file is empty")),
    "header_only": (b"text,label\n", Refused(1, "no rows after the header")),
    "blank_lines": (b"\n\ntext,label\n\nhello,1\n\n", [("hello", "1")]),
    "field200k": (
        b"text,label\n" + b"a" * 200_000 + b",1\n",
        Refused(2, "a cell has more than 100,000 characters"),
    ),
    "crlf_mixed": (b"text,label\r\nhello,1\nbye,0\r\n", HELLO),
    "quote_mid": (b'text,label\nhe"llo,1\nbye,0\n', Refused(2, "an odd number of quotes")),
    "backslash_quote": (b'text,label\n"he\\"llo",1\nbye,0\n', Refused(2, "text after a closing quote")),
    "surrogate": (b"text,label\n\xed\xa0\x80,1\n", Refused(2, "byte offset 11 (0xed) is not UTF-8")),
    "ctrl_z": (b"text,label\nhello,1\n\x1abye,0\n", [("hello", "1"), ("\x1abye", "0")]),
    "float_label": (b"text,label\na,1.0\nb,0.0\n", [("a", "1.0"), ("b", "0.0")]),
    "thousand": (b'text,label\n"1,000",1\n', [("1,000", "1")]),
}
TAKEN = [name for name, (_, verdict) in FILES.items() if not isinstance(verdict, Refused)]
REFUSED = [name for name in FILES if name not in TAKEN]


def test_there_are_29_files() -> None:
    assert len(FILES) == 29


@pytest.mark.parametrize("name", TAKEN)
def test_a_sound_file_is_taken_exactly_as_written(name: str, tmp_path: Path) -> None:
    content, rows = FILES[name]
    path = tmp_path / f"{name}.csv"
    path.write_bytes(content)
    table = read_table(path)
    assert table.columns == ("text", "label")
    assert [tuple(cells) for cells in table.rows] == rows


@pytest.mark.parametrize("name", TAKEN)
def test_a_sound_file_with_enough_rows_becomes_a_task(name: str, tmp_path: Path) -> None:
    content, rows = FILES[name]
    assert not isinstance(rows, Refused)
    path = tmp_path / f"{name}.csv"
    path.write_bytes(content + b"".join(more_rows(name, rows)))
    data = read_task(path, KINDS)
    assert [(row.text, row.values["label"]) for row in data.rows[: len(rows)]] == rows
    assert set(data.labels) >= {label for _, label in rows}


def more_rows(name: str, rows: Taken) -> Iterator[bytes]:
    """Ten further rows of each label (and of one more), in the manner of the file."""
    delimiter = ";" if name == "semicolon" else ","
    end = "\r" if name == "cr_only" else "\n"
    for label in [*dict.fromkeys(label for _, label in rows), "other"]:
        for number in range(10):
            line = f"row {number} of {label}{delimiter}{label}{end}"
            yield line.encode("utf-16-le" if name == "utf16" else "utf-8")


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_open_to_misreading_is_refused_with_line_and_reason(name: str, tmp_path: Path) -> None:
    content, verdict = FILES[name]
    assert isinstance(verdict, Refused)
    path = tmp_path / f"{name}.csv"
    path.write_bytes(content)
    with pytest.raises(DataRefusedError) as caught:
        read_task(path, KINDS)
    message = str(caught.value)
    assert message.startswith(f"{path}, line {verdict.line}: {verdict.reason}")
    assert message.isprintable()
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_found_out_about_a_file_is_said(tmp_path: Path) -> None:
    said = {}
    for name in TAKEN:
        path = tmp_path / f"{name}.csv"
        path.write_bytes(FILES[name][0])
        said[name] = read_table(path).findings
    assert said["semicolon"] == ("cells are separated by semicolons",)
    assert said["newline_in_quotes"][1] == "line breaks inside quotes are kept, rows: 1 (first: line 2)"
    assert said["blank_lines"][1] == "blank lines between rows were skipped (first: line 4)"
    assert said["ctrl_z"][1] == "control characters are kept as written (first: line 3)"
    assert said["utf8"] == ("cells are separated by commas",)
