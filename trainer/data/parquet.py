"""Parquet, read strictly: columns of text, whole numbers and true/false, each cell there, or a refusal.

A small file can stand for a huge table, so nothing is unpacked before the footer's figures and the head of
every page say how much it will be, and repeated cells are counted before they are written out. What a file
says beyond its columns (notes of pandas or of other libraries, names of types) is not read.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from trainer.data.files import MAX_BYTES
from trainer.data.pages import DamagedPageError, Footer, check_pages, read_footer
from trainer.data.refusals import quoted, refusal
from trainer.data.tables import MAX_COLUMNS, MAX_ROWS, Body, Table, check_columns

if TYPE_CHECKING:  # It takes most of a second to load, and most files are text.
    from pyarrow import Array, DataType, RecordBatch
    from pyarrow.parquet import ParquetFile

MAX_UNPACKED = 2 * MAX_BYTES
"""Bytes of all pages together: the text, and four bytes more a cell."""
BATCH = 4096
"""Rows that are decoded at a time."""
_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"


def parse_parquet(content: bytes, source: str) -> Table:
    """The table in the bytes of a Parquet file; rows are counted from 1.

    Raises:
        DataRefusedError: columns of other types, an empty cell, too much data, a damaged or encrypted file.
    """
    import pyarrow

    if _ENCRYPTED in (content[:4], content[-4:]):
        raise refusal(source, None, "encrypted Parquet is not read; write it without encryption")
    if len(content) < 12 or content[:4] != _MAGIC or content[-4:] != _MAGIC:
        raise refusal(source, None, "not a whole Parquet file: it does not begin and end with PAR1")
    try:
        return _read(content, source)
    except DamagedPageError as error:
        raise refusal(source, None, str(error)) from None
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise refusal(source, None, f"damaged, or not written as Parquet says: {reason[:200]}") from None


def _read(content: bytes, source: str) -> Table:
    footer = read_footer(content)
    _check_figures(footer, source)
    check_pages(content, footer, most=MAX_UNPACKED)
    schema = _opened(content).schema_arrow
    columns = check_columns(list(schema.names), source, None)
    literal = [_is_literal(name, schema.field(place).type, source) for place, name in enumerate(columns)]
    # As a dictionary a text that is repeated a million times is there once.
    texts = [name for name, number in zip(columns, literal, strict=True) if not number]
    body, cells = Body(source), _Cells(source, columns)
    for batch in _opened(content, read_dictionary=texts).iter_batches(BATCH, use_threads=False):
        for row in cells.rows_of(batch):
            body.take(row)
    if len(body.rows) != footer.rows:
        told, found = footer.rows, len(body.rows)
        raise refusal(source, None, f"damaged: its footer tells of {told:,} rows, it holds {found:,}")
    findings = [
        f"column {quoted(name)} holds whole numbers or true/false, taken as text; names of classes that are"
        " kept beside them are not read"
        for name, number in zip(columns, literal, strict=True)
        if number
    ]
    return body.table(columns, findings)


def _opened(content: bytes, **options: Any) -> "ParquetFile":
    from pyarrow import BufferReader
    from pyarrow.parquet import ParquetFile

    return ParquetFile(
        BufferReader(content),
        pre_buffer=False,
        thrift_string_size_limit=MAX_BYTES,
        thrift_container_size_limit=100_000,
        page_checksum_verification=True,
        arrow_extensions_enabled=False,
        **options,
    )


def _check_figures(footer: Footer, source: str) -> None:
    """Refuse what is too much by the footer's own figures."""
    if footer.columns > MAX_COLUMNS:
        raise refusal(source, None, f"{footer.columns:,} columns, more than the {MAX_COLUMNS} that are read")
    if footer.rows > MAX_ROWS:
        raise refusal(source, None, f"more than {MAX_ROWS:,} rows, the most that are read")
    if footer.rows < 1 or footer.columns < 1:
        raise refusal(source, None, "no rows: the file is empty")


def _is_literal(name: str, kind: "DataType", source: str) -> bool:
    """Whether a column holds numbers or true/false and not text; any other type is refused."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    elif types.is_integer(kind) or types.is_boolean(kind):
        return True
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return False
    raise refusal(
        source,
        None,
        f"the column {quoted(name)} is of the type {quoted(str(kind))}; only text, whole numbers and"
        " true/false are read: write it as text, or leave it out",
    )


class _Cells:
    """The cells of batches as text, counted before they are written out."""

    def __init__(self, source: str, columns: tuple[str, ...]) -> None:
        self.source, self.columns = source, columns
        self._rows = self._bytes = 0

    def rows_of(self, batch: "RecordBatch") -> Iterator[list[str]]:
        """The rows of the next batch."""
        done = self._rows
        self._rows += len(batch)
        cells = [self._cells(name, column, done) for name, column in zip(self.columns, batch, strict=True)]
        return (list(row) for row in zip(*cells, strict=True))

    def _cells(self, name: str, column: "Array", done: int) -> list[str]:
        """The cells of one column, after they were counted."""
        from pyarrow import types

        if not types.is_dictionary(column.type):
            self._refuse_null(name, column, done)
            return [str(value).lower() for value in column.to_pylist()]
        self._count(column)
        plain = column.dictionary_decode()
        self._refuse_null(name, plain, done)
        try:
            return list(plain.to_pylist())
        except UnicodeDecodeError:
            row = next(_undecodable(plain))
            raise refusal(self.source, done + row, f"the value of {quoted(name)} is not UTF-8") from None

    def _count(self, column: Any) -> None:
        from pyarrow import compute

        lengths = compute.binary_length(column.dictionary)
        self._bytes += compute.sum(lengths.take(column.indices)).as_py() or 0
        if self._bytes > MAX_BYTES:
            raise refusal(
                self.source, None, f"holds more than {MAX_BYTES:,} bytes of text, the most that is read"
            )

    def _refuse_null(self, name: str, column: "Array", done: int) -> None:
        if column.null_count:
            row = done + column.is_null().index(True).as_py() + 1
            raise refusal(
                self.source, row, f"the value of {quoted(name)} is null; write a text or drop the row"
            )


def _undecodable(column: "Array") -> Iterator[int]:
    """Which values of a column, counted from 1, are not UTF-8."""
    for number, value in enumerate(column, start=1):
        try:
            value.as_py()
        except UnicodeDecodeError:
            yield number
