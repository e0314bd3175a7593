"""Blobs: whole or absent, never changed, and never trusted."""

import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path

import pytest

from registry import Registry
from registry.blobs import Blobs
from registry.errors import DamagedError, StorageError
from tests.registry.samples import add_dataset, add_expert, payload

CONTENT = b"some bytes " * 1_000
DIGEST = sha256(CONTENT).hexdigest()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def files(blobs: Blobs) -> list[str]:
    return sorted(path.name for path in blobs.folder.rglob("*") if path.is_file())


def damage(blobs: Blobs, digest: str, content: bytes) -> None:
    path = blobs.path(digest)
    path.chmod(0o644)
    path.write_bytes(content)


def test_a_blob_is_named_by_its_digest_and_comes_back(blobs: Blobs) -> None:
    assert blobs.add(CONTENT) == DIGEST
    assert blobs.path(DIGEST) == blobs.folder / "sha256" / DIGEST[:2] / DIGEST
    assert (blobs.get(DIGEST), blobs.has(DIGEST), files(blobs)) == (CONTENT, True, [DIGEST])


def test_a_blob_is_read_only_in_a_private_folder(blobs: Blobs) -> None:
    blobs.add(CONTENT)
    assert stat.S_IMODE(blobs.path(DIGEST).stat().st_mode) == 0o444
    assert stat.S_IMODE(blobs.folder.stat().st_mode) == 0o700


def test_adding_again_leaves_the_file_alone(blobs: Blobs) -> None:
    blobs.add(CONTENT)
    before = blobs.path(DIGEST).stat()
    blobs.add(CONTENT)
    after = blobs.path(DIGEST).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize("broken", [b"", CONTENT[:-1], CONTENT + b"x", b"x" + CONTENT[1:]])
def test_damage_is_noticed_and_adding_again_mends_it(blobs: Blobs, broken: bytes) -> None:
    blobs.add(CONTENT)
    damage(blobs, DIGEST, broken)
    with pytest.raises(DamagedError, match=f"The blob {DIGEST} is damaged"):
        blobs.get(DIGEST)
    blobs.add(CONTENT)
    assert blobs.get(DIGEST) == CONTENT


def test_a_missing_blob_is_damage(blobs: Blobs) -> None:
    with pytest.raises(DamagedError, match=f"The blob {DIGEST} is missing"):
        blobs.get(DIGEST)
    assert not blobs.has(DIGEST)


@pytest.mark.parametrize("size", [0, 1, 4_096, len(CONTENT) - 1])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    blobs: Blobs, disk_full_after: Callable[[int], AbstractContextManager[None]], size: int
) -> None:
    with disk_full_after(size), pytest.raises(StorageError) as caught:
        blobs.add(CONTENT)
    assert str(caught.value) == (
        f"Cannot write {blobs.path(DIGEST)}: File too large. Check free space, permissions and REGISTRY_HOME."
    )
    assert files(blobs) == []
    assert blobs.get(blobs.add(CONTENT)) == CONTENT


def test_a_file_where_a_folder_should_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("")
    with pytest.raises(StorageError, match="Cannot make the folder"):
        Blobs(tmp_path / "blobs").add(CONTENT)


def test_a_full_disk_while_adding_an_expert_changes_nothing_at_any_size(
    registry: Registry, disk_full_after: Callable[[int], AbstractContextManager[None]]
) -> None:
    """Small limits stop the blob or the database, larger ones the database; without one all goes well."""
    first = add_expert(registry)
    stopped = set()
    for size in (0, 64, 512, 1_024, 4_096, 8_192):
        with disk_full_after(size), pytest.raises(StorageError) as caught:
            add_expert_of_the_same_rows(registry)
        stopped.add("registry.db" in str(caught.value))
        assert "\n" not in str(caught.value)
        assert registry.experts(all_versions=True) == [first]
        assert registry.verify() == []
        assert not list(registry.home.rglob("*.tmp"))
    assert True in stopped
    add_expert_of_the_same_rows(registry)
    assert [expert.version for expert in registry.experts(all_versions=True)] == [1, 2]


def add_expert_of_the_same_rows(registry: Registry) -> None:
    add_expert(registry, number=1, settings_key="key " * 2_000)


def test_a_blob_that_vanished_before_its_row_is_stored_again(registry: Registry) -> None:
    add_dataset(registry)
    expert = add_expert(registry)
    registry.blobs.path(expert.sha256).unlink()
    assert add_expert(registry).sha256 == expert.sha256
    assert registry.blobs.get(expert.sha256) == payload()
