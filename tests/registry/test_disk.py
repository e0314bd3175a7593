"""Files that appear whole or not at all."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from registry.disk import replacing


def test_two_threads_that_replace_a_file_leave_what_one_of_them_wrote(tmp_path: Path) -> None:
    path, both = tmp_path / "kept.json", Barrier(2)

    def write(letter: bytes) -> None:
        with replacing(path) as file:
            file.write(letter * 50_000)
            both.wait(timeout=20)
            file.write(letter * 50_000)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(write, (b"a", b"b")))
    assert path.read_bytes() in (b"a" * 100_000, b"b" * 100_000)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_could_not_be_replaced_stays_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match="half way"), replacing(path) as file:
        file.write(b"after")
        raise ValueError("half way")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
