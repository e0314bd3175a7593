"""A registry is not made where SQLite cannot lock; the message says what to do."""

from pathlib import Path

import pytest

from registry import Registry, back_up, filesystem, restore
from registry.database import migrate
from registry.errors import StorageError
from registry.filesystem import NETWORK, type_of


def mount(monkeypatch: pytest.MonkeyPatch, table: Path, *mounts: tuple[str, str]) -> None:
    """Lets the system tell of these mounts, besides an ext4 at /."""
    lines = [f"device {place} {kind} rw,relatime 0 0\n" for place, kind in (("/", "ext4"), *mounts)]
    table.write_text("".join(lines))
    monkeypatch.setattr(filesystem, "MOUNTS", table)


def test_the_innermost_mount_tells_the_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a b" / "link").mkdir(parents=True)
    (tmp_path / "short").symlink_to(tmp_path / "a b")
    mount(
        monkeypatch,
        tmp_path / "mounts",
        (str(tmp_path / "a\\040b" / "deep"), "xfs"),
        (str(tmp_path / "a\\040b"), "btrfs"),
        (str(tmp_path / "a\\040b"), "nfs4"),
        (str(tmp_path / "a"), "tmpfs"),
    )
    assert type_of(tmp_path) == "ext4"
    assert type_of(tmp_path / "a b" / "not there yet") == "nfs4"
    assert type_of(tmp_path / "short" / "home") == "nfs4"
    assert type_of(tmp_path / "a b" / "deep" / "home") == "xfs"
    assert type_of(tmp_path / "a" / "home") == "tmpfs"
    assert type_of(tmp_path / "ab") == "ext4"


def test_where_the_system_does_not_tell_the_type_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystem, "MOUNTS", tmp_path / "no such file")
    assert type_of(tmp_path) == "unknown"
    Registry(tmp_path / "home").close()


@pytest.mark.parametrize("kind", sorted(NETWORK))
def test_a_network_file_system_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    mount(monkeypatch, tmp_path / "mounts", (str(tmp_path / "net"), kind))
    home = tmp_path / "net" / "home"
    for opening in (Registry, migrate):
        with pytest.raises(StorageError) as refused:
            opening(home)
        assert str(refused.value) == (
            f"{home}/registry.db is on a network file system ({kind}), where SQLite's locks fail and "
            "versions get lost. Name a folder on a disk of this machine with --home or REGISTRY_HOME. For "
            "one registry on several machines the way is a PostgreSQL server, which this version cannot "
            "use yet."
        )
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize("kind", ["overlay", "tmpfs", "ext4", "xfs", "btrfs", "zfs", "apfs", "fuse.bindfs"])
def test_other_file_systems_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    mount(monkeypatch, tmp_path / "mounts", (str(tmp_path), kind))
    with Registry(tmp_path / "home") as registry:
        assert registry.verify() == []


def test_a_person_can_take_the_risk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mount(monkeypatch, tmp_path / "mounts", (str(tmp_path), "nfs4"))
    monkeypatch.setenv("REGISTRY_ALLOW_NETWORK", "0")
    with pytest.raises(StorageError, match="is on a network file system"):
        Registry(tmp_path / "home")
    monkeypatch.setenv("REGISTRY_ALLOW_NETWORK", "1")
    Registry(tmp_path / "home").close()


def test_nothing_is_restored_there_but_a_backup_may_lie_there(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = tmp_path / "net"
    net.mkdir()
    mount(monkeypatch, tmp_path / "mounts", (str(net), "cifs"))
    made = back_up(registry, net / "backup.tar")
    with pytest.raises(StorageError, match="is on a network file system"):
        restore(made.file, net / "home")
    assert [path.name for path in net.iterdir()] == ["backup.tar"]
    restore(made.file, tmp_path / "new")
