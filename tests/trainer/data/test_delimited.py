"""CSV and its relatives: what two readers could understand differently is refused."""

from pathlib import Path

import pytest

from registry.errors import DataRefusedError
from trainer.data import Table, read_table


def table(tmp_path: Path, content: str | bytes, name: str = "task.csv") -> Table:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path)


def refused(tmp_path: Path, content: str | bytes) -> str:
    with pytest.raises(DataRefusedError) as caught:
        table(tmp_path, content)
    message = str(caught.value).removeprefix(f"{tmp_path}/task.csv, ")
    assert message.isprintable()
    return message


@pytest.mark.parametrize(
    ("delimiter", "name"), [(",", "commas"), (";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")]
)
def test_the_delimiter_is_told_from_the_header_and_named(delimiter: str, name: str, tmp_path: Path) -> None:
    others = ",;\t|".replace(delimiter, "")
    read = table(tmp_path, f"text{delimiter}label\nhas {others} inside{delimiter}1\n")
    assert read.rows == [[f"has {others} inside", "1"]]
    assert read.findings == (f"cells are separated by {name}",)


def test_a_header_with_two_possible_delimiters_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, "text, in words;label\na;1\n") == (
        "line 1: the header can be separated by commas and by semicolons; quote the names that hold one"
    )
    assert table(tmp_path, '"text, in words";label\na;1\n').columns == ("text, in words", "label")


def test_lines_are_counted_where_rows_begin(tmp_path: Path) -> None:
    read = table(tmp_path, 'text,label\n"a\n\nb",1\n\n"c\nd",2\ne,3\n')
    assert read.rows == [["a\n\nb", "1"], ["c\nd", "2"], ["e", "3"]]
    assert read.lines == [2, 6, 8]
    assert refused(tmp_path, 'text,label\n"a\nb",1\nc\n') == "line 4: 1 cell where the header names 2 columns"


def test_line_ends_inside_quotes_are_kept_as_written(tmp_path: Path) -> None:
    assert table(tmp_path, b'text,label\r\n"a\r\nb\rc\nd",1\r\n').rows == [["a\r\nb\rc\nd", "1"]]
    assert table(tmp_path, b'text,label\r"a\rb",1\r').rows == [["a\rb", "1"]]


def test_a_lone_carriage_return_in_a_file_with_line_feeds_is_refused(tmp_path: Path) -> None:
    expected = "line 2: a lone carriage return; end lines with LF or CRLF, or quote the cell"
    assert refused(tmp_path, b"text,label\na\rb,1\n") == expected


def test_other_separators_of_unicode_are_text(tmp_path: Path) -> None:
    text = "a\u2028b\u0085c\x1cd\x0be"
    assert table(tmp_path, f"text,label\n{text},1\n").rows == [[text, "1"]]


def test_quotes_are_doubled_inside_quotes_and_come_in_pairs(tmp_path: Path) -> None:
    assert table(tmp_path, 'text,label\n"say ""hi""",1\n').rows == [['say "hi"', "1"]]
    assert table(tmp_path, 'text,label\n"5"" screen",1\n').rows == [['5" screen', "1"]]
    assert table(tmp_path, 'text,label\nthey say "hi" now,1\n').rows == [['they say "hi" now', "1"]]
    rule = 'a cell that holds a quote stands in quotes, with each quote inside written twice ("")'
    assert refused(tmp_path, 'text,label\n"say" hi,1\n') == f"line 2: text after a closing quote; {rule}"
    assert (
        refused(tmp_path, 'text,label\n"say \\"hi\\"",1\n') == f"line 2: text after a closing quote; {rule}"
    )
    assert refused(tmp_path, 'text,label\na,0\n5" screen,1\n') == f"line 3: an odd number of quotes; {rule}"


def test_a_quote_written_over_a_letter_does_not_shift_the_cells(tmp_path: Path) -> None:
    """Plain CSV rules read the label `0"` here, where `,0` stood before the first `0` was hit."""
    assert table(tmp_path, 'text,label\n0,",0"\n').rows == [["0", ",0"]]
    assert "odd number of quotes" in refused(tmp_path, 'text,label\n",",0"\n')


def test_an_unclosed_quote_is_refused_where_it_was_opened(tmp_path: Path) -> None:
    body = "".join(f"row {number},1\n" for number in range(50))
    expected = "line 52: a quote is opened in this row and never closed"
    assert refused(tmp_path, f'text,label\n{body}"never closed,1\n{body}') == expected
    long = "line 52: a cell has more than 100,000 characters; a quote opened in this row may never be closed"
    assert refused(tmp_path, f'text,label\n{body}"never closed,1\n{body * 400}') == long
    assert (
        refused(tmp_path, '"text\nlabel\na,1\n')
        == "line 1: a quote in the header is never closed on its line"
    )


def test_a_cell_may_have_100000_characters_and_no_more(tmp_path: Path) -> None:
    text = "é" * 100_000
    assert table(tmp_path, f"text,label\n{text},1\n").rows == [[text, "1"]]
    expected = "line 2: a cell has more than 100,000 characters"
    assert refused(tmp_path, f"text,label\n{text}e,1\n") == expected
    assert refused(tmp_path, f"text,label\n{text * 2},1\n") == expected


def test_64_columns_are_read_and_65_refused_before_they_are_parsed(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(65)]
    assert len(table(tmp_path, ",".join(names[:64]) + "\n" + "," * 63 + "\n").columns) == 64
    assert refused(tmp_path, ",".join(names) + "\n") == "line 1: 65 columns, more than the 64 that are read"
    many = ",".join(f"column{number}" for number in range(200_000))
    assert refused(tmp_path, many) == "line 1: 200,000 columns, more than the 64 that are read"


def test_more_than_a_million_rows_are_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, b"t\n" + b"a\n" * 1_000_001)
    assert message == "line 1000002: more than 1,000,000 rows, the most that are read"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("text,text", "the column name 'text' appears twice; rename one of them"),
        (",label,", "the column name '' appears twice; rename one of them"),
        ("te\u200bxt,label", "the column name 'te\\u200bxt' holds characters that do not print"),
        ('"te\txt",label', None),
        ("x" * 129 + ",label", "is longer than 128 characters"),
        ('"text"x,label', "text after a closing quote"),
    ],
)
def test_column_names_are_clear(header: str, reason: str | None, tmp_path: Path) -> None:
    message = refused(tmp_path, f"{header}\na,b\n")
    assert message.startswith("line 1: ")
    assert (reason or "holds characters that do not print") in message


def test_one_column_needs_no_delimiter_and_has_no_blank_rows(tmp_path: Path) -> None:
    assert table(tmp_path, "text\nhello\nbye\n\n").rows == [["hello"], ["bye"]]
    message = refused(tmp_path, "text\nhello\n\nbye\n")
    assert message == "line 3: a blank line between rows of one column could be an empty cell; remove it"
    assert refused(tmp_path, "text\nhello, you\n") == (
        "line 2: 2 cells where the header names 1 column; quote a cell that holds ','"
    )


def test_cells_are_not_stripped_or_unified(tmp_path: Path) -> None:
    rows = [[" a ", " 1"], ["e\u0301", "1 "], ["\u00e9", "\t1"], ["", ""]]
    body = "".join(f"{text},{label}\n" for text, label in rows)
    assert table(tmp_path, f"text,label\n{body}").rows == rows
