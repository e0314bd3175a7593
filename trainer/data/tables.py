"""A table of text: the strict middle ground between bytes and rows, with the limits that hold for it."""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from trainer.data.refusals import quoted, refusal

MAX_COLUMNS = 64
MAX_ROWS = 1_000_000
MAX_CELL = 100_000
"""Characters in one cell."""
MAX_NAME = 128
"""Characters in one column name."""

_CONTROL = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
_CONTROL_TEXT = re.compile(_CONTROL.pattern.decode("ascii"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The cells of a file exactly as written, all of them text.

    `lines[i]` is the line number at which `rows[i]` starts; every row has one cell a column. `header` is the
    line that names the columns, None where that is no line.
    """

    source: str
    columns: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    header: int | None = 1
    findings: tuple[str, ...] = ()


def lines_of(content: bytes) -> Iterator[bytes]:
    """The lines of a whole file with their ends kept; lone CR ends a line only where no LF exists."""
    if b"\n" in content or b"\r" not in content:
        return iter(io.BytesIO(content))
    return (match.group() for match in re.finditer(rb"[^\r]*\r|[^\r]+\Z", content))


def decoded(lines: Iterable[bytes], source: str) -> Iterator[str]:
    """Lines of UTF-8 bytes as text.

    Raises:
        DataRefusedError: bytes that are not UTF-8, or a NUL, with the line.
    """
    offset = 0
    for number, raw in enumerate(lines, start=1):
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise refusal(
                source,
                number,
                f"byte offset {offset + error.start} (0x{raw[error.start]:02x}) is not UTF-8;"
                " save the file as UTF-8",
            ) from None
        if "\0" in line:
            raise refusal(source, number, "a NUL character; remove it")
        offset += len(raw)
        yield line


def check_columns(columns: list[str], source: str, line: int | None) -> tuple[str, ...]:
    """The column names, or a refusal of too many, repeated, overlong or unprintable ones."""
    if len(columns) > MAX_COLUMNS:
        raise refusal(source, line, f"{len(columns):,} columns, more than the {MAX_COLUMNS} that are read")
    for name in columns:
        if len(name) > MAX_NAME:
            raise refusal(
                source, line, f"the column name {quoted(name)} is longer than {MAX_NAME} characters"
            )
        if not name.replace("\u00a0", " ").replace("\u200c", "").isprintable():
            raise refusal(source, line, f"the column name {quoted(name)} holds characters that do not print")
        if columns.count(name) > 1:
            raise refusal(source, line, f"the column name {quoted(name)} appears twice; rename one of them")
    return tuple(columns)


class Body:
    """Rows without lines, counted from 1, as they are decoded, and what was noticed in them."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.rows: list[list[str]] = []
        self._control: int | None = None

    def take(self, cells: list[str]) -> None:
        """Take the next row.

        Raises:
            DataRefusedError: one too many, an overlong cell, or a NUL.
        """
        number = len(self.rows) + 1
        check_size(cells, self.source, number, number)
        if any("\0" in cell for cell in cells):
            raise refusal(self.source, number, "a NUL character; remove it")
        if self._control is None and any(map(_CONTROL_TEXT.search, cells)):
            self._control = number
        self.rows.append(cells)

    def table(self, columns: tuple[str, ...], findings: Sequence[str]) -> Table:
        """All of it."""
        noticed = [*findings]
        if self._control is not None:
            noticed.append(f"control characters are kept as written (first: row {self._control})")
        lines = list(range(1, len(self.rows) + 1))
        return Table(
            source=self.source,
            columns=columns,
            rows=self.rows,
            lines=lines,
            header=None,
            findings=tuple(noticed),
        )


class Reader(Protocol):
    """Goes through the rows of one file; keeps none of them."""

    columns: tuple[str, ...]

    def rows(self) -> Iterator[tuple[list[str], int]]:
        """The cells of each row, and the line at which it starts."""

    def findings(self) -> list[str]:
        """What was noticed in the rows; known when all have been read."""


def gather(reader: Reader, content: bytes, source: str) -> Table:
    """The table of a whole file, whose bytes are `content`.

    Raises:
        DataRefusedError: as the reader does, and what is too much to be kept.
    """
    rows: list[list[str]] = []
    lines: list[int] = []
    for cells, line in reader.rows():
        check_size(cells, source, line, len(rows) + 1)
        rows.append(cells)
        lines.append(line)
    findings = reader.findings() + control_finding(content)
    return Table(source=source, columns=reader.columns, rows=rows, lines=lines, findings=tuple(findings))


def check_size(cells: list[str], source: str, line: int, count: int) -> None:
    """Refuse the `count`-th row when it is one too many to be kept or holds an overlong cell."""
    if count > MAX_ROWS:
        raise refusal(source, line, f"more than {MAX_ROWS:,} rows, the most that are read")
    check_cells(cells, source, line)


def check_cells(cells: list[str], source: str, line: int) -> None:
    """Refuse a row with an overlong cell."""
    if max(map(len, cells)) > MAX_CELL:
        raise refusal(source, line, f"a cell has more than {MAX_CELL:,} characters")


def control_finding(content: bytes) -> list[str]:
    """What to say of control characters other than tab and line ends: they are kept as written."""
    match = _CONTROL.search(content)
    if match is None:
        return []
    line = content.count(b"\n" if b"\n" in content else b"\r", 0, match.start()) + 1
    return [f"control characters are kept as written (first: line {line})"]
