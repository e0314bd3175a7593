"""The heads of the pages in a Parquet file: how much each unpacks to, read before anything is unpacked.

The footer of a file may say less than its pages do. A page begins with a struct in Thrift's compact protocol
(parquet.thrift, `PageHeader`), which is walked here for four of its fields.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyarrow.parquet import ColumnChunkMetaData, FileMetaData

MAX_PAGES = 100_000
DELTA_BYTE_ARRAY = 7
"""Texts told by what they share with the one before: the one encoding in which few bytes are many long texts
without a dictionary."""

# Field numbers of PageHeader, and in its parts that of the encoding.
_UNPACKED, _PACKED = 2, 3
_ENCODING = {5: 2, 7: 2, 8: 4}
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _STRUCT = 0, 1, 2, 3, 7, 8, 12
_INTEGERS = (4, 5, 6)
_DEEPEST = 6

Struct = dict[int, "int | Struct"]


class DamagedPageError(Exception):
    """A page that cannot be there as it is, or must not be unpacked; the message says why."""


def check_pages(content: bytes, footer: "FileMetaData", *, most: int) -> None:
    """Refuse a file whose pages unpack to too much together.

    Args:
        most: bytes.

    Raises:
        DamagedPageError: they do, or a page cannot be there as it is.
    """
    unpacked = pages = 0
    for group in range(footer.num_row_groups):
        for column in range(footer.num_columns):
            place, end = _extent(footer.row_group(group).column(column), len(content))
            while place < end:
                size, place = _page(content, place)
                unpacked, pages = unpacked + size, pages + 1
                if unpacked > most:
                    raise DamagedPageError(f"unpacks to more than {most:,} bytes, the most that is read")
                if pages > MAX_PAGES:
                    raise DamagedPageError(f"more than {MAX_PAGES:,} pages, the most that are read")


def _extent(chunk: "ColumnChunkMetaData", size: int) -> tuple[int, int]:
    """Where the pages of a column begin and end."""
    begin, dictionary = chunk.data_page_offset, chunk.dictionary_page_offset
    if dictionary is not None and 0 < dictionary < begin:
        begin = dictionary
    end = begin + chunk.total_compressed_size
    if chunk.file_path or not 0 < begin <= end <= size:
        raise DamagedPageError("damaged: its footer tells of pages that are not in the file")
    return begin, end


def _page(content: bytes, place: int) -> tuple[int, int]:
    """The bytes that a page unpacks to, and where the next one begins."""
    reader = _Compact(content, place)
    head = reader.struct()
    unpacked, packed = head.get(_UNPACKED), head.get(_PACKED)
    if not isinstance(unpacked, int) or not isinstance(packed, int) or min(unpacked, packed) < 0:
        raise DamagedPageError("damaged: a page does not say how large it is")
    for part, field in _ENCODING.items():
        about = head.get(part)
        if isinstance(about, dict) and about.get(field) == DELTA_BYTE_ARRAY:
            raise DamagedPageError(
                "texts in the encoding DELTA_BYTE_ARRAY are not read; write the file with PLAIN"
            )
    return unpacked, reader.place + packed


class _Compact:
    """Reads structs in Thrift's compact protocol; `place` is where it has come to."""

    def __init__(self, content: bytes, place: int) -> None:
        self.content, self.place = content, place

    def struct(self, depth: int = 0) -> Struct:
        """The whole numbers and structs among the fields, by field number."""
        found: Struct = {}
        field = 0
        while (head := self._byte()) & 0x0F != _STOP:
            field = field + (head >> 4) if head >> 4 else self._integer()
            value = self._value(head & 0x0F, depth)
            if value is not None:
                found[field] = value
        return found

    def _value(self, kind: int, depth: int) -> "int | Struct | None":
        if kind in _INTEGERS:
            return self._integer()
        if kind == _STRUCT and depth < _DEEPEST:
            return self.struct(depth + 1)
        if kind in (_TRUE, _FALSE):
            return None
        skipped = {_BYTE: lambda: 1, _DOUBLE: lambda: 8, _BINARY: self._varint}.get(kind)
        if skipped is None:
            raise DamagedPageError("damaged: the head of a page cannot be read")
        length = skipped()  # First, since reading it moves the place too.
        self.place += length
        return None

    def _byte(self) -> int:
        if self.place >= len(self.content):
            raise DamagedPageError("damaged: a page runs beyond the end of the file")
        self.place += 1
        return self.content[self.place - 1]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise DamagedPageError("damaged: the head of a page cannot be read")

    def _integer(self) -> int:
        """In zigzag form: 0, -1, 1, -2, ..."""
        value = self._varint()
        return value >> 1 ^ -(value & 1)
