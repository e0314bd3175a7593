"""A file that is no backup of ours, or not any more: nothing of it is restored."""

import json
import random
import shutil
import tarfile
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from registry import Registry, restore
from registry.errors import DamagedError, SchemaError
from registry.sqlite import driver
from tests.registry.tars import changed_manifest, members, rewrite


def test_every_cut_and_every_flipped_byte_of_a_header_is_refused(backup: Path, tmp_path: Path) -> None:
    """A flip that only changes what nobody reads, such as an owner's number, breaks the header's checksum."""
    good = backup.read_bytes()
    damaged = tmp_path / "damaged.tar"
    chance = random.Random(0)
    cuts = [*range(0, len(good), len(good) // 60), len(good) - 1]
    flips = [*range(0, 512, 3), *(chance.randrange(len(good) - 1024) for _ in range(150))]
    changed = [good[:cut] for cut in cuts]
    changed += [good[:place] + bytes([good[place] ^ 0x41]) + good[place + 1 :] for place in flips]
    changed += [good + b"x", good + bytes(512), b"", b"x" * 2_000, bytes(2_000)]
    refused = 0
    for content in changed:
        damaged.write_bytes(content)
        try:
            restored = restore(damaged, tmp_path / "new")
        except (DamagedError, SchemaError) as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            # What is left are bytes that mean nothing: the padding between members, a date, a space.
            with Registry(restored.home) as registry:
                assert registry.verify() == []
            shutil.rmtree(restored.home)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar", "damaged.tar", "home"]
    assert refused >= 0.95 * len(changed)


def with_name(content: list[tuple[str, bytes]], name: str) -> list[tuple[str, bytes]]:
    return [*content[:-1], (name, content[-1][1])]


@pytest.mark.parametrize("name", ["../../escaped", "/escaped", "blobs/../../escaped", "blobs/sha256/aa/aa"])
def test_no_name_in_a_backup_becomes_a_path(backup: Path, tmp_path: Path, name: str) -> None:
    rewrite(backup, with_name(members(backup), name))
    with pytest.raises(DamagedError, match="is not where it should be"):
        restore(backup, tmp_path / "new")
    assert not any("escaped" in path.name for path in tmp_path.rglob("*"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE]
)
def test_only_regular_files_are_taken(backup: Path, tmp_path: Path, kind: bytes) -> None:
    rewrite(backup, members(backup), kind)
    with pytest.raises(DamagedError, match="is not where it should be"):
        restore(backup, tmp_path / "new")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"revision": "9999"}, SchemaError, "is newer than this program"),
        ({"revision": "0001"}, SchemaError, "is not at the revision that its manifest says"),
        ({"version": 2}, DamagedError, "of version 2"),
        ({"format": "another"}, DamagedError, "it is a 'another'"),
        ({"created_at": "yesterday"}, DamagedError, "its manifest cannot be read"),
        ({"created_at": "2026-01-01T00:00:00"}, DamagedError, "is no time at which"),
        ({"created_at": "0001-01-01T00:00:00+00:00"}, DamagedError, "is no time at which"),
        ({"database": ["../escaped", 5]}, DamagedError, "is not a digest and a size"),
        ({"blobs": [["f" * 64, 1 << 50]]}, DamagedError, "its manifest says"),
        ({"blobs": [["f" * 64, -1]]}, DamagedError, "is not a digest and a size"),
        ({"blobs": [["f" * 64, True]]}, DamagedError, "is not a digest and a size"),
        ({"blobs": 5}, DamagedError, "its manifest cannot be read"),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(
    backup: Path, tmp_path: Path, change: dict[str, object], error: type[Exception], words: str
) -> None:
    rewrite(backup, changed_manifest(members(backup), **change))
    with pytest.raises(error, match=words):
        restore(backup, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_backup_that_lacks_a_blob_is_refused(backup: Path, tmp_path: Path) -> None:
    content = members(backup)
    blobs = json.loads(content[0][1])["blobs"]
    rewrite(backup, changed_manifest(content[:-1], blobs=blobs[:-1]))
    with pytest.raises(DamagedError, match=f"lacks 1 blobs, such as {blobs[-1][0]}"):
        restore(backup, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_database_of_another_program_is_refused(backup: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with closing(driver.connect(other)) as connection:
        connection.execute("CREATE TABLE notes (a)")
    content = other.read_bytes()
    made = [members(backup)[0], ("registry.db", content)]
    rewrite(backup, changed_manifest(made, database=[sha256(content).hexdigest(), len(content)], blobs=[]))
    with pytest.raises(SchemaError, match="is not a registry"):
        restore(backup, tmp_path / "new")
