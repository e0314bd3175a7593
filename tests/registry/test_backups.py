"""A backup is whole or not there; what is restored from it is what was, or nothing."""

import io
import json
import stat
import tarfile
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from registry import Registry, back_up, collect, examine, restore, revisions
from registry.database import FILE, migrate
from registry.errors import ConflictError, DamagedError, NotFoundError, StorageError
from registry.references import referenced
from registry.sqlite import driver
from tests.registry.samples import add_dataset, add_expert, add_generation
from tests.registry.tars import changed_manifest, members, rewrite
from tests.registry.test_garbage import enqueue, names
from tests.stress.kills.migrating import rows

RELEASE = Path(__file__).parent / "releases" / "0.1.0"


def test_a_restored_registry_is_the_one_that_was_backed_up(filled: Registry, tmp_path: Path) -> None:
    filled.add_features("key", b"hidden states", {})
    made = back_up(filled, tmp_path / "backup.tar")
    kept = filled._database.read(referenced) - {sha256(b"hidden states").hexdigest()}
    assert (made.file, made.blobs, made.revision) == (tmp_path / "backup.tar", len(kept), revisions.HEAD)
    assert made.bytes == made.file.stat().st_size
    before = datetime.now(UTC)
    restored = restore(made.file, tmp_path / "new")
    assert (restored.home, restored.blobs, restored.outdated) == (tmp_path / "new", len(kept), False)
    assert before - timedelta(minutes=1) < restored.created_at < before
    assert rows(restored.home) == {**rows(filled.home), "features": []}
    with Registry(restored.home) as registry:
        assert registry.verify() == []
        assert names(registry) == kept
        assert registry.tensors("sst2@2")[1] == filled.tensors("sst2@2")[1]
        assert registry.lineage("router@2").to_json() == filled.lineage("router@2").to_json()
        add_expert(registry, number=9)
        assert registry.verify() == []


def test_a_backup_is_a_private_tar_with_its_manifest_first(filled: Registry, backup: Path) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    content = members(backup)
    assert [name for name, _ in content[:2]] == ["manifest.json", "registry.db"]
    about = json.loads(content[0][1])
    assert (about["format"], about["version"], about["revision"]) == (
        "expert-registry backup",
        1,
        revisions.HEAD,
    )
    assert about["database"] == [sha256(content[1][1]).hexdigest(), len(content[1][1])]
    assert about["blobs"] == [[sha256(data).hexdigest(), len(data)] for _, data in content[2:]]
    assert [name for name, _ in content[2:]] == [
        f"blobs/sha256/{digest[:2]}/{digest}" for digest, _ in about["blobs"]
    ]
    assert [path.name for path in backup.parent.iterdir() if path.is_file()] == ["backup.tar"]


def test_what_is_restored_is_private_and_frozen(backup: Path, tmp_path: Path) -> None:
    home = restore(backup, tmp_path / "new").home
    for path in home.rglob("*"):
        expected = 0o700 if path.is_dir() else 0o600 if path.parent == home else 0o444
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


def test_an_empty_registry_is_backed_up_too(registry: Registry, tmp_path: Path) -> None:
    made = back_up(registry, tmp_path / "backup.tar")
    assert made.blobs == 0
    with Registry(restore(made.file, tmp_path / "new").home) as restored:
        assert restored.tasks() == []
        assert restored.verify() == []


def test_nothing_is_overwritten(filled: Registry, backup: Path, tmp_path: Path) -> None:
    content = backup.read_bytes()
    with pytest.raises(ConflictError, match="exists already"):
        back_up(filled, backup)
    assert backup.read_bytes() == content
    with pytest.raises(ConflictError, match=f"{tmp_path} is a folder. Name a new file in it, such as"):
        back_up(filled, tmp_path)
    with pytest.raises(ConflictError, match="/ is a folder"):
        back_up(filled, "/")
    before = rows(filled.home)
    with pytest.raises(ConflictError, match="is not empty"):
        restore(backup, filled.home)
    with pytest.raises(ConflictError, match="is not empty"):
        restore(backup, backup)
    assert rows(filled.home) == before
    empty = tmp_path / "empty"
    empty.mkdir()
    assert restore(backup, empty).home == empty
    with Registry(empty) as registry:
        assert registry.verify() == []


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no backup"):
        restore(tmp_path / "backup.tar", tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_backup_of_a_registry_with_a_lost_or_damaged_blob_is_refused(
    filled: Registry, tmp_path: Path
) -> None:
    path = filled.blobs.path(filled.expert("sst2@1").sha256)
    content = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(b"x" + content[1:])
    with pytest.raises(DamagedError, match="another digest"):
        back_up(filled, tmp_path / "backup.tar")
    path.unlink()
    with pytest.raises(DamagedError, match="is missing, so a backup would not be whole"):
        back_up(filled, tmp_path / "backup.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_full_disk_leaves_nothing(
    filled: Registry, tmp_path: Path, disk_full_after: Callable[[int], AbstractContextManager[None]]
) -> None:
    whole = back_up(filled, tmp_path / "whole.tar").bytes
    for limit in (0, 4_096, 100_000, whole - 1_024, whole - 1):
        with disk_full_after(limit), pytest.raises(StorageError):
            back_up(filled, tmp_path / "backup.tar")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "whole.tar"]
    assert back_up(filled, tmp_path / "backup.tar").bytes == whole


def test_a_full_disk_while_restoring_leaves_nothing(
    backup: Path, tmp_path: Path, disk_full_after: Callable[[int], AbstractContextManager[None]]
) -> None:
    for limit in (0, 4_096, 65_536):
        with disk_full_after(limit), pytest.raises(StorageError):
            restore(backup, tmp_path / "new")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar", "home"]
    restore(backup, tmp_path / "new")


def test_jobs_that_were_running_need_recovery_where_they_are_restored(
    registry: Registry, tmp_path: Path
) -> None:
    states = ("queued", "running", "needs_recovery", "failed", "cancelled")
    for state in states:
        enqueue(registry, state, [registry.blobs.add(state.encode())])
    enqueue(registry, "done", ["0" * 64])
    home = restore(back_up(registry, tmp_path / "backup.tar").file, tmp_path / "new").home
    with closing(driver.connect(home / FILE)) as connection:
        found = connection.execute("SELECT state, owner, lease_until FROM jobs ORDER BY id").fetchall()
    assert found == [
        (state if state != "running" else "needs_recovery", None, None) for state in (*states, "done")
    ]
    with Registry(home) as restored:
        assert names(restored) == {sha256(state.encode()).hexdigest() for state in states}


def test_a_blob_that_goes_with_its_job_while_it_is_copied_makes_the_backup_begin_anew(
    registry: Registry, tmp_path: Path
) -> None:
    for number in range(5):
        add_dataset(registry, number=number + 1)
    needed = [registry.blobs.add(f"rows of job {number}".encode()) for number in range(5)]
    for digest in needed:
        enqueue(registry, "queued", [digest])
    begun = []

    def end_the_jobs(done: int, total: int) -> None:
        if done == 1:
            begun.append(total)
            with closing(driver.connect(registry.home / FILE)) as connection:
                connection.execute("UPDATE jobs SET state = 'done', finished_at = created_at")
                connection.commit()
            collect(registry, grace=timedelta(0))

    made = back_up(registry, tmp_path / "backup.tar", on_progress=end_the_jobs)
    assert begun == [10, 5]
    assert made.blobs == 5
    with Registry(restore(made.file, tmp_path / "new").home) as restored:
        assert restored.verify() == []
        assert restored._database.read(referenced) == names(restored)


def test_inputs_of_jobs_that_were_given_up_are_not_in_a_backup(registry: Registry, tmp_path: Path) -> None:
    kept = registry.blobs.add(b"rows of a job of late")
    enqueue(registry, "failed", [kept], days=29)
    enqueue(registry, "cancelled", [registry.blobs.add(b"rows of a job of old")], days=31)
    made = back_up(registry, tmp_path / "backup.tar")
    assert made.blobs == 1
    with Registry(restore(made.file, tmp_path / "new").home) as restored:
        assert names(restored) == {kept}
        assert examine(restored).problems == ()


def test_a_backup_is_restored_by_the_clock_that_it_was_taken_by(registry: Registry, tmp_path: Path) -> None:
    """What was given up by then is not missed by a machine whose clock is behind."""
    enqueue(registry, "failed", [registry.blobs.add(b"rows of a job")], days=29)
    file = back_up(registry, tmp_path / "backup.tar").file
    later = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    rewrite(file, changed_manifest(members(file)[:2], created_at=later, blobs=[]))
    assert restore(file, tmp_path / "new").blobs == 0


def test_backups_during_writes_are_whole(home: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    added: list[str] = []

    def write() -> None:
        with Registry(home) as registry:
            number = 0
            while not stop.is_set():
                number += 1
                expert = add_expert(registry, rows=number, number=number)
                added.append(add_generation(registry, expert.name, number=number).name)
                registry.promote(added[-1])
                collect(registry, grace=timedelta(0))

    Registry(home).close()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            with Registry(home) as registry:
                acknowledged = list(added)
                made = back_up(registry, tmp_path / f"{number}.tar")
            with Registry(restore(made.file, tmp_path / f"new-{number}").home) as restored:
                assert restored.verify() == []
                found = [generation.name for generation in restored.generations()]
                assert found == [f"router@{number + 1}" for number in range(len(found))]
                assert set(acknowledged) <= set(found)
    finally:
        stop.set()
        writer.join()


def test_an_older_backup_is_restored_as_it_was_and_can_be_migrated(backup: Path, tmp_path: Path) -> None:
    database = (RELEASE / FILE).read_bytes()
    blobs = sorted(path for path in (RELEASE / "blobs").rglob("*") if path.is_file())
    about = changed_manifest(
        members(backup)[:1],
        revision="0001",
        database=[sha256(database).hexdigest(), len(database)],
        blobs=[[path.name, path.stat().st_size] for path in blobs],
    )
    files = [(str(path.relative_to(RELEASE)), path.read_bytes()) for path in blobs]
    rewrite(backup, [*about, ("registry.db", database), *files])
    restored = restore(backup, tmp_path / "new")
    assert (restored.revision, restored.outdated) == ("0001", True)
    assert rows(restored.home) == rows(RELEASE)
    migrate(restored.home)
    with Registry(restored.home) as registry:
        assert registry.verify() == []


def test_the_tar_of_a_backup_is_read_by_tar(backup: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(backup.read_bytes())) as archive:
        assert all(member.isreg() and member.mode == 0o600 for member in archive)
