"""JSON Lines: flat objects with the same keys, numbers as the text they are written with."""

from pathlib import Path

import pytest

from registry.errors import DataRefusedError
from trainer.data import Table, read_table


def table(tmp_path: Path, content: str | bytes) -> Table:
    path = tmp_path / "task.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path)


def test_objects_become_rows_whatever_the_order_of_their_keys(tmp_path: Path) -> None:
    read = table(
        tmp_path,
        '\n{"text": "a\\nb", "label": "x"}\r\n\n  {"label": "", "text": "caf\\u00e9 \\ud83d\\ude00"} ',
    )
    assert read.columns == ("text", "label")
    assert read.rows == [["a\nb", "x"], ["café 😀", ""]]
    assert read.lines == [2, 4]
    assert read.findings == ()


@pytest.mark.parametrize(
    "written", ["1", "7.50", "1.0", "1e20", "-0", "99999999999999999999", "true", "false"]
)
def test_numbers_and_booleans_keep_their_own_text(written: str, tmp_path: Path) -> None:
    read = table(tmp_path, f'{{"text": "a", "label": {written}}}\n')
    assert read.rows == [["a", written]]
    assert type(read.rows[0][1]) is str
    assert read.findings == (
        "column 'label' holds JSON numbers or true/false, taken as the text they are written with",
    )


def test_the_names_of_json_all_lead_to_it(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.ndjson", "a.json", "a.JSONL"):
        (tmp_path / name).write_text('{"text": "a"}\n')
        assert read_table(tmp_path / name).rows == [["a"]]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "b"}', "the key 'label' of the first object is missing"),
        ('{"text": "b", "label": "1", "id": "7"}', "keys that the first object does not have: 'id'"),
        ('{"text": "b", "label": 1}', "'label' is text in some rows and a number or true/false in others"),
        ('{"text": "b", "label": null}', "the value of 'label' is null; write a text or drop the row"),
        ('{"text": "b", "label": ["x"]}', "the value of 'label' is a list or an object; only text is read"),
        (
            '{"text": "b", "label": {"x": "y"}}',
            "the value of 'label' is a list or an object; only text is read",
        ),
        ('{"text": "b", "label": "x", "text": "c"}', "the key 'text' appears twice in one object"),
        ('{"text": "b", "label": "x"', "not one JSON object: Expecting ',' delimiter at column 27"),
        ('{"text": "b"} {"text": "c"}', "not one JSON object: Extra data at column 15"),
        ('{"text": "b", "label": NaN}', "not one JSON object: NaN is not JSON"),
        ("{'text': 'b'}", "not one JSON object: Expecting property name enclosed in double quotes"),
        ('["text", "label"]', "not a JSON object; write one object a line"),
        ('"text"', "not a JSON object; write one object a line"),
        ("{}", "an object without keys"),
        ('{"text": "\\u0000", "label": "x"}', "a NUL character; remove it"),
        ('{"text": "\\ud83d", "label": "x"}', "half of a surrogate pair in 'text'; no such text exists"),
        ('{"text": ' + "[" * 100_000 + "}", "lists or objects inside an object are not read"),
        ('{"text": "' + "a" * 100_001 + '", "label": "x"}', "a cell has more than 100,000 characters"),
        ('{"text": "tab\there", "label": "x"}', "not one JSON object: Invalid control character"),
    ],
)
def test_a_line_that_is_no_such_object_is_refused(line: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(DataRefusedError) as caught:
        table(tmp_path, f'{{"text": "a", "label": "x"}}\n{line}\n')
    assert str(caught.value).startswith(f"{tmp_path}/task.jsonl, line 2: {reason}")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "line 1: no rows: the file is empty"),
        (b"\n \n", "line 1: no rows: the file is empty"),
        (b'{"text": "\xe9"}', "line 1: byte offset 10 (0xe9) is not UTF-8"),
        (b'{"te\\u0000xt": "a"}', "line 1: a NUL character"),
        (b'[{"text": "a"},\n{"text": "b"}]', "line 1: not one JSON object: Expecting value"),
        (b'{"te\\nxt": "a"}', "line 1: the column name 'te\\nxt' holds characters that do not print"),
    ],
)
def test_a_file_that_is_no_json_lines_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(DataRefusedError) as caught:
        table(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path}/task.jsonl, {reason}")


def test_65_keys_are_refused(tmp_path: Path) -> None:
    keys = ", ".join(f'"c{number}": "x"' for number in range(65))
    with pytest.raises(DataRefusedError, match="line 1: 65 columns, more than the 64 that are read"):
        table(tmp_path, f"{{{keys}}}")
