"""How much a Parquet file unpacks to, by its footer and the heads of its pages, before anything is unpacked.

Both are structs in Thrift's compact protocol (parquet.thrift: `FileMetaData`, `PageHeader`), walked here for
a few of their fields. pyarrow knows only what the footer says, which may be less than its pages do, and some
damaged footers end the process when it is asked about them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_FOOTER = 4_000_000
MAX_PAGES = 100_000
DELTA_BYTE_ARRAY = 7
"""Texts told by what they share with the one before: the one encoding in which few bytes are many long texts
without a dictionary."""

_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _STRUCT = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    12,
)
_DEEPEST = 8

Struct = dict[tuple[int, int], Any]
"""Values by number and type of their field: one of another type than it should have is not that field."""


class DamagedPageError(Exception):
    """What cannot be there as it is, or must not be unpacked; the message says why."""


@dataclass(frozen=True, slots=True)
class Footer:
    """The figures in a footer.

    Attributes:
        rows: that the file says it has.
        columns: of the schema, those inside others counted one by one.
        chunks: where in the file the pages of each column in each group of rows begin and end.
    """

    rows: int
    columns: int
    chunks: tuple[tuple[int, int], ...]


def read_footer(content: bytes) -> Footer:
    """The figures in the footer of a whole file.

    Raises:
        DamagedPageError: it cannot be read, or tells of pages that are not in the file.
    """
    length = int.from_bytes(content[-8:-4], "little")
    if length > min(MAX_FOOTER, len(content) - 12):
        raise DamagedPageError(f"damaged, or its footer has more than {MAX_FOOTER:,} bytes")
    found = _Compact(content, len(content) - 8 - length).struct()
    leaves = [one for one in _structs(found, 2) if (5, _I32) not in one]
    rows = found.get((3, _I64), 0)
    # Of a table without rows writers say what they like.
    groups = _structs(found, 4) if rows > 0 else ()
    chunks = (_extent(chunk, len(content)) for group in groups for chunk in _structs(group, 1))
    return Footer(rows, len(leaves), tuple(chunks))


def check_pages(content: bytes, footer: Footer, *, most: int) -> None:
    """Refuse a file whose pages unpack to too much together.

    Args:
        most: bytes.

    Raises:
        DamagedPageError: they do, or a page cannot be there as it is.
    """
    unpacked = pages = 0
    for begin, end in footer.chunks:
        place = begin
        while place < end:
            size, place = _page(content, place)
            unpacked, pages = unpacked + size, pages + 1
            if unpacked > most:
                raise DamagedPageError(f"unpacks to more than {most:,} bytes, the most that is read")
            if pages > MAX_PAGES:
                raise DamagedPageError(f"more than {MAX_PAGES:,} pages, the most that are read")


def _structs(found: Struct, field: int) -> Iterator[Struct]:
    return (one for one in found.get((field, _LIST), ()) if isinstance(one, dict))


def _extent(chunk: Struct, size: int) -> tuple[int, int]:
    """Where the pages of a `ColumnChunk` begin and end, as every reader takes it."""
    about = chunk.get((3, _STRUCT), {})
    begin, dictionary, length = (about.get((field, _I64), 0) for field in (9, 11, 7))
    if 0 < dictionary < begin:
        begin = dictionary
    if chunk.get((1, _BINARY)) or not 0 < begin <= begin + length <= size:
        raise DamagedPageError("damaged: its footer tells of pages that are not in the file")
    return begin, begin + length


def _page(content: bytes, place: int) -> tuple[int, int]:
    """The bytes that a page unpacks to, and where the next one begins."""
    reader = _Compact(content, place)
    head = reader.struct()
    unpacked, packed = (head.get((field, _I32), -1) for field in (2, 3))
    if min(unpacked, packed) < 0:
        raise DamagedPageError("damaged: a page does not say how large it is")
    # The parts for pages of data, of dictionaries, and of data in version 2.
    for part, field in ((5, 2), (7, 2), (8, 4)):
        if head.get((part, _STRUCT), {}).get((field, _I32)) == DELTA_BYTE_ARRAY:
            raise DamagedPageError(
                "texts in the encoding DELTA_BYTE_ARRAY are not read; write the file with PLAIN"
            )
    return unpacked, reader.place + packed


class _Compact:
    """Reads structs in Thrift's compact protocol; `place` is where it has come to."""

    def __init__(self, content: bytes, place: int) -> None:
        self.content, self.place = content, place

    def struct(self, depth: int = 0) -> Struct:
        """A struct that begins here."""
        found: Struct = {}
        field = 0
        while (head := self._byte()) & 0x0F != _STOP:
            field = field + (head >> 4) if head >> 4 else self._integer()
            found[field, head & 0x0F] = self._value(head & 0x0F, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        if kind in (_I16, _I32, _I64):
            return self._integer()
        if kind in (_BYTE, _DOUBLE, _BINARY):
            return self._bytes({_BYTE: 1, _DOUBLE: 8}.get(kind) or self._varint())
        if kind == _STRUCT and depth < _DEEPEST:
            return self.struct(depth + 1)
        if kind == _LIST and depth < _DEEPEST:
            return self._list(depth + 1)
        raise DamagedPageError("damaged: what its footer or a page says of itself cannot be read")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        size, kind = head >> 4, head & 0x0F
        size = self._varint() if size == 15 else size
        if size > len(self.content) - self.place:
            raise DamagedPageError("damaged: a list runs beyond the end of the file")
        if kind in (_TRUE, _FALSE):  # In a list each takes a byte.
            kind = _BYTE
        return [self._value(kind, depth) for _ in range(size)]

    def _bytes(self, length: int) -> bytes:
        self.place += length
        if self.place > len(self.content):
            raise DamagedPageError("damaged: a text runs beyond the end of the file")
        return self.content[self.place - length : self.place]

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise DamagedPageError("damaged: a number has no end")

    def _integer(self) -> int:
        """In zigzag form: 0, -1, 1, -2, ..."""
        value = self._varint()
        return value >> 1 ^ -(value & 1)
