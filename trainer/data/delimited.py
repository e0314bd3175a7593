"""CSV, TSV and their relatives, read strictly: every cell as written, or a refusal with the line."""

import csv
import re
from collections.abc import Iterator

from trainer.data.refusals import quoted, refusal
from trainer.data.tables import (
    MAX_CELL,
    MAX_COLUMNS,
    Table,
    check_columns,
    decoded,
    gather,
    lines_of,
)

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_QUOTING = 'a cell that holds a quote stands in quotes, with each quote inside written twice ("")'
_QUOTED_PART = re.compile(r'"(?:[^"]|"")*"')


def parse_delimited(content: bytes, source: str) -> Table:
    """The table in UTF-8 bytes whose first line that is not blank names the columns.

    Raises:
        DataRefusedError: anything that two readers could understand differently, with the line.
    """
    return gather(DelimitedReader(decoded(lines_of(content), source), source), content, source)


def _header(lines: Iterator[str], source: str) -> tuple[str, int]:
    for number, line in enumerate(lines, start=1):
        if line.strip("\r\n"):
            return line, number
    raise refusal(source, 1, "no rows: the file is empty")


def _delimiter(header: str, source: str, line: int) -> str:
    """The one delimiter found outside quotes; the number of columns is bounded before any is parsed."""
    bare = _QUOTED_PART.sub("", header)
    counts = {delimiter: bare.count(delimiter) for delimiter in _DELIMITERS if delimiter in bare}
    if len(counts) > 1:
        names = " and by ".join(_DELIMITERS[delimiter] for delimiter in counts)
        raise refusal(source, line, f"the header can be separated by {names}; quote the names that hold one")
    delimiter = next(iter(counts), ",")
    if counts.get(delimiter, 0) >= MAX_COLUMNS:
        raise refusal(
            source, line, f"{counts[delimiter] + 1:,} columns, more than the {MAX_COLUMNS} that are read"
        )
    return delimiter


def _header_cells(header: str, delimiter: str, source: str, line: int) -> list[str]:
    if header.count('"') % 2:
        raise refusal(source, line, "a quote in the header is never closed on its line")
    try:
        return next(csv.reader([header], delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise refusal(source, line, _explained(error, spans_lines=False)) from None


class DelimitedReader:
    """The header, and the rows below it one by one; keeps none of them.

    Attributes:
        columns: as the first line that is not blank names them; header_line: where it stands.
    """

    def __init__(self, lines: Iterator[str], source: str) -> None:
        self.source, self._lines = source, lines
        header, self.header_line = _header(lines, source)
        self.delimiter = _delimiter(header, source, self.header_line)
        names = _header_cells(header, self.delimiter, source, self.header_line)
        self.columns = check_columns(names, source, self.header_line)
        self.width = len(self.columns)
        self._count = self._last = self._blank = self._broken = self._first_broken = self._quotes = 0

    def rows(self) -> Iterator[tuple[list[str], int]]:
        """The cells of each row and the line at which it starts, once.

        Raises:
            DataRefusedError: a row that two readers could understand differently, or no row.
        """
        # `csv` counts the lines it was given, the header was not among them.
        reader = csv.reader(self._counted(self._lines), delimiter=self.delimiter, strict=True)
        start = self.header_line + 1
        try:
            for cells in reader:
                if self._takes(cells, start):
                    yield cells, start
                if self.header_line + reader.line_num > start:
                    self._broken += 1
                    self._first_broken = self._first_broken or start
                start = self.header_line + reader.line_num + 1
        except csv.Error as error:
            spans_lines = self.header_line + reader.line_num > start
            raise refusal(self.source, start, _explained(error, spans_lines)) from None
        if not self._count:
            raise refusal(self.source, self.header_line, "no rows after the header")

    def _counted(self, lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            self._quotes += line.count('"')
            yield line

    def _takes(self, cells: list[str], line: int) -> bool:
        """Whether this is a row; a blank line is none."""
        if not cells:
            self._blank = self._blank or line
            return False
        if len(cells) != self.width:
            raise refusal(self.source, line, self._ragged(len(cells)))
        if self.width == 1 and self._blank:
            raise refusal(
                self.source, self._blank, "a blank line between rows of one column could be an empty cell;"
                " remove it",
            )  # fmt: skip
        # A quote lost or added anywhere leaves some row with an odd number, so no such damage goes unnoticed.
        if self._quotes % 2:
            raise refusal(self.source, line, f"an odd number of quotes; {_QUOTING}")
        self._count, self._last = self._count + 1, line
        return True

    def _ragged(self, found: int) -> str:
        cells = "1 cell" if found == 1 else f"{found:,} cells"
        columns = "1 column" if self.width == 1 else f"{self.width} columns"
        hint = f"; quote a cell that holds {quoted(self.delimiter)}" if found > self.width else ""
        return f"{cells} where the header names {columns}{hint}"

    def findings(self) -> list[str]:
        """What was noticed in all rows, for a person."""
        found = [f"cells are separated by {_DELIMITERS[self.delimiter]}"] if self.width > 1 else []
        if 0 < self._blank < self._last:
            found.append(f"blank lines between rows were skipped (first: line {self._blank})")
        if self._broken:
            found.append(f"line breaks inside quotes are kept, rows: {self._broken:,}"
                         f" (first: line {self._first_broken})")  # fmt: skip
        return found


def _explained(error: csv.Error, spans_lines: bool) -> str:
    """The reason in our words; `csv` names its errors by their text alone."""
    message = str(error)
    if "unexpected end of data" in message:
        return "a quote is opened in this row and never closed"
    if "expected after" in message:
        return f"text after a closing quote; {_QUOTING}"
    if "new-line character" in message:
        return "a lone carriage return; end lines with LF or CRLF, or quote the cell"
    if "field larger than field limit" in message:
        hint = "; a quote opened in this row may never be closed" if spans_lines else ""
        return f"a cell has more than {MAX_CELL:,} characters{hint}"
    return message
