"""The texts of a file to be answered: any number of them, taken as strictly as rows to learn from."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from trainer.data.checks import check_choices, check_inputs
from trainer.data.columns import assign_columns
from trainer.data.delimited import DelimitedReader
from trainer.data.files import MAX_BYTES, large_lines
from trainer.data.jsonl import JsonLinesReader
from trainer.data.reading import JSON_NAMES, read_table
from trainer.data.rows import CHOICES, Row
from trainer.data.tables import Table, check_cells, decoded
from trainer.inputs import Input


class Texts(Protocol):
    """What a file asks, in its order; it can be gone through again."""

    def __len__(self) -> int:
        """How many there are."""

    def __iter__(self) -> Iterator[Input]:
        """Each text with its pair or its choices."""


def read_texts(
    path: str | os.PathLike[str], *, text: str | None = None, text_pair: str | None = None
) -> Texts:
    """The texts (and pairs, and choices) of a file to be answered, in order; other columns are not looked
    at.

    A CSV, TSV or JSON Lines file larger than what is kept in memory is read twice, line by line: once to
    check all of it, and again as its texts are asked for. It must be UTF-8, its lines ended by LF or CRLF.

    Raises:
        NotFoundError: no such file or column.
        DataRefusedError: as `read_table`; no column is known as the text, or a text or choice is missing.
    """
    source, options = os.fspath(path), {"text": text, "text_pair": text_pair}
    plain = Path(source).suffix.lower() != ".parquet"
    if plain and Path(source).is_file() and Path(source).stat().st_size > MAX_BYTES:
        return LargeTexts(source, options)
    table = read_table(source)
    return list(_inputs(table, zip(table.rows, table.lines, strict=True), options))


class LargeTexts:
    """The texts of a file that is not kept in memory; checked as a whole when this is made."""

    def __init__(self, source: str, options: Mapping[str, str | None]) -> None:
        self._source, self._options = source, options
        self._count = sum(1 for _ in self)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Input]:
        lines = decoded(large_lines(self._source), self._source)
        is_json = Path(self._source).suffix.lower() in JSON_NAMES
        reader = (JsonLinesReader if is_json else DelimitedReader)(lines, self._source)
        table = Table(
            source=self._source, columns=reader.columns, rows=[], lines=[], header=reader.header_line
        )
        return _inputs(table, self._sized(reader.rows()), self._options)

    def _sized(self, rows: Iterable[tuple[list[str], int]]) -> Iterator[tuple[list[str], int]]:
        for cells, line in rows:
            check_cells(cells, self._source, line)
            yield cells, line


def _inputs(
    table: Table, rows: Iterable[tuple[list[str], int]], options: Mapping[str, str | None]
) -> Iterator[Input]:
    """The cells that play a role; `table` is only asked for its columns."""
    roles = assign_columns(table, ("text",), ("text_pair", *CHOICES), options)
    check_choices(roles, table.source, table.header)
    places = {role: table.columns.index(column) for role, column in roles.items()}
    for cells, line in rows:
        row = Row({role: cells[place] for role, place in places.items()}, "test", line, table.source)
        check_inputs([row], tuple(roles))
        yield row.input
