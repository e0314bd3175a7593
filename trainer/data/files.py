"""From a path to bytes: what is opened at all, and what is refused before anything is parsed."""

import codecs
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from registry.errors import NotFoundError, nearest
from trainer.data.refusals import quoted, refusal

MAX_BYTES = 50_000_000
_LONGEST_LINE = MAX_BYTES

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_PACKED_NAMES = {
    ".gz", ".tgz", ".zip", ".bz2", ".xz", ".zst", ".7z", ".rar", ".tar",
    ".arrow", ".feather", ".xlsx", ".xls", ".ods", ".pkl", ".pickle", ".npy", ".npz",
}  # fmt: skip
_PACKED_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip or spreadsheet",
    b"BZh91AY&SY": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"7z\xbc\xaf\x27\x1c": "7-zip",
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"\xd0\xcf\x11\xe0": "old Excel",
    b"%PDF-": "PDF",
    b"SQLite format 3\x00": "SQLite",
}


def read_utf8(path: str | os.PathLike[str]) -> bytes:
    """The content of a text file as valid-looking UTF-8 bytes, without its byte order mark.

    UTF-16 with a byte order mark is converted. UTF-8 itself is checked where the lines are read
    (`trainer.data.tables.decoded`), which knows the line number.

    Raises:
        NotFoundError: there is no such file.
        DataRefusedError: a URL, a directory, a packed or too large file, or one that cannot be read.
    """
    source = os.fspath(path)
    _check_name(source)
    content = read_bytes(source)
    _check_start(content, source)
    return _without_mark(content, source)


def large_lines(source: str) -> Iterator[bytes]:
    """The lines of a text file that is too large to be kept, with their ends, without its byte order mark.

    Raises:
        DataRefusedError: a packed file, one that cannot be read, another encoding than UTF-8, or a line that
            is longer than any row can be.
    """
    _check_name(source)
    try:
        with Path(source).open("rb") as file:
            line, number = file.readline(_LONGEST_LINE), 1
            _check_start(line, source)
            if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise refusal(source, 1, "UTF-16, and too large to be converted; save the file as UTF-8")
            line = _without_mark(line, source)
            while line:
                if len(line) >= _LONGEST_LINE:
                    raise refusal(source, number, "a line without end; end lines with LF or CRLF")
                yield line
                line, number = file.readline(_LONGEST_LINE), number + 1
    except OSError as error:
        raise refusal(source, None, f"cannot be read: {error.strerror}") from None


def _check_name(source: str) -> None:
    if Path(source).suffix.lower() in _PACKED_NAMES:
        raise refusal(source, None, "not a text file by its name; unpack it to .csv, .tsv or .jsonl first")


def _check_start(content: bytes, source: str) -> None:
    for magic, name in _PACKED_MAGIC.items():
        if content.startswith(magic):
            todo = "name it .parquet" if name == "parquet" else "unpack it to .csv, .tsv or .jsonl first"
            raise refusal(source, None, f"holds {name} data, not text; {todo}")


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of a file, whatever it holds.

    Raises:
        NotFoundError: there is no such file.
        DataRefusedError: a URL, a directory, a too large file, or one that cannot be read.
    """
    source = os.fspath(path)
    if _URL.match(source):
        raise refusal(source, None, "a URL is not read; download the file and give its path")
    content = _at_most(source)
    if len(content) > MAX_BYTES:
        raise refusal(source, None, f"larger than {MAX_BYTES:,} bytes, the most that is read")
    return content


def _at_most(source: str) -> bytes:
    """At most one byte more than the limit, from a regular file only (a pipe or device could block)."""
    missing = f"no file {quoted(source, 200)}."
    if not source or "\0" in source:
        raise NotFoundError(missing)
    path = Path(source)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise refusal(source, None, "a directory; give the path of one file")
        if not stat.S_ISREG(mode):
            raise refusal(source, None, "not a regular file; save the rows to a file first")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotFoundError(f"{missing}{nearest(path.name, _siblings(path))}") from None
    except OSError as error:
        raise refusal(source, None, f"cannot be read: {error.strerror}") from None


def _siblings(path: Path) -> list[str]:
    try:
        return sorted(sibling.name for sibling in path.parent.iterdir())
    except OSError:
        return []


def _without_mark(content: bytes, source: str) -> bytes:
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise refusal(source, 1, "UTF-32 is not read; save the file as UTF-8")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return content.decode("utf-16").encode("utf-8")
        except UnicodeDecodeError as error:
            line = content[: error.start].decode("utf-16").count("\n") + 1
            raise refusal(
                source, line, f"byte offset {error.start} is not UTF-16; save the file as UTF-8"
            ) from None
    return content.removeprefix(codecs.BOM_UTF8)


def named_after(path: str | os.PathLike[str]) -> str:
    """The name of a task after that of a file."""
    return re.sub(r"[^a-z0-9_-]+", "_", Path(path).stem.lower()).strip("_-")[:64]
