"""What is opened at all: text files, and nothing that must be unpacked, fetched or waited for."""

import bz2
import gzip
import io
import lzma
import os
import sys
import zipfile
from pathlib import Path

import pytest

from registry.errors import DataRefusedError, NotFoundError
from trainer.data import read_table
from trainer.data.files import MAX_BYTES

ROWS = b"text,label\nhello,1\nbye,0\n"


def refused(path: str | Path) -> str:
    with pytest.raises(DataRefusedError) as caught:
        read_table(path)
    assert str(caught.value).isprintable()
    return str(caught.value)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("task.csv", ROWS)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (gzip.compress(ROWS), "gzip"),
        (zipped(), "zip or spreadsheet"),
        (bz2.compress(ROWS), "bzip2"),
        (lzma.compress(ROWS), "xz"),
        (b"SQLite format 3\0" + b"\0" * 20, "SQLite"),
    ],
    ids=["gzip", "zip", "bzip2", "xz", "sqlite"],  # The bytes hold the time: no two processes make the same.
)
def test_packed_content_is_refused_whatever_its_name(content: bytes, named: str, tmp_path: Path) -> None:
    path = tmp_path / "task.csv"
    path.write_bytes(content)
    assert refused(path) == f"{path}: holds {named} data, not text; unpack it to .csv, .tsv or .jsonl first"


def test_parquet_under_another_name_is_told_its_own(tmp_path: Path) -> None:
    path = tmp_path / "task.csv"
    path.write_bytes(b"PAR1" + b"\0" * 20 + b"PAR1")
    assert refused(path) == f"{path}: holds parquet data, not text; name it .parquet"


@pytest.mark.parametrize("name", ["task.csv.gz", "task.zip", "task.arrow", "task.XLSX", "task.pkl"])
def test_packed_names_are_refused_whatever_their_content(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(ROWS)
    assert refused(path) == f"{path}: not a text file by its name; unpack it to .csv, .tsv or .jsonl first"


@pytest.mark.parametrize(
    "url",
    ["https://example.org/task.csv", "file:///etc/passwd", "s3://bucket/task.csv", "hf://datasets/a/b.csv"],
)
def test_a_url_is_never_followed(url: str) -> None:
    assert refused(url) == f"{url}: a URL is not read; download the file and give its path"
    assert "a URL is not read" in refused(Path(url))


def test_a_missing_file_is_not_found_and_the_nearest_name_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_bytes(ROWS)
    with pytest.raises(NotFoundError) as caught:
        read_table(tmp_path / "review.csv")
    assert str(caught.value) == f"no file '{tmp_path}/review.csv'. Did you mean 'reviews.csv'?"
    for path in (tmp_path / "none" / "x.csv", "", "a\0b.csv"):
        with pytest.raises(NotFoundError, match="no file"):
            read_table(path)


def test_a_directory_and_a_pipe_are_refused_at_once(tmp_path: Path) -> None:
    assert refused(tmp_path) == f"{tmp_path}: a directory; give the path of one file"
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    assert refused(pipe) == f"{pipe}: not a regular file; save the rows to a file first"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_read_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "task.csv"
    path.write_bytes(ROWS)
    path.chmod(0)
    assert refused(path) == f"{path}: cannot be read: Permission denied"


def test_a_path_that_the_system_rejects_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 300)
    assert refused(path) == f"{path}: cannot be read: File name too long"


def test_the_size_limit_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "task.csv"
    row = b"a" * 99_000 + b",x\n"
    content = b"text,label\n" + row * (MAX_BYTES // len(row))
    content += b"a" * (MAX_BYTES - len(content) - 3) + b",x\n"
    assert len(content) == MAX_BYTES
    path.write_bytes(content)
    assert len(read_table(path).rows) == MAX_BYTES // len(row) + 1
    path.write_bytes(content + b"\n")
    assert refused(path) == f"{path}: larger than 50,000,000 bytes, the most that is read"


def test_utf16_is_taken_with_a_mark_only(tmp_path: Path) -> None:
    path = tmp_path / "task.csv"
    text = "text,label\nnaïve 日本 😀,1\n"
    for encoding, mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
        path.write_bytes(mark + text.encode(encoding))
        assert read_table(path).rows == [["naïve 日本 😀", "1"]]
        path.write_bytes(text.encode(encoding))
        assert refused(path).startswith(f"{path}, line 1: ")
        path.write_bytes(mark + text.encode(encoding)[:-1])
        place = len(mark + text.encode(encoding)) - 2
        assert refused(path) == (f"{path}, line 2: byte offset {place} is not UTF-16; save the file as UTF-8")
    path.write_bytes(text.encode("utf-32"))
    assert refused(path) == f"{path}, line 1: UTF-32 is not read; save the file as UTF-8"


def test_a_hostile_path_is_shown_escaped(tmp_path: Path) -> None:
    path = tmp_path / "a\n\u202eb.csv"
    path.write_bytes(b"")
    assert refused(path) == f"{tmp_path}/a\\n\\u202eb.csv, line 1: no rows: the file is empty"
