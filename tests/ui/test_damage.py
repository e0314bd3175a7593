"""Damaged files and full disks: one line, the right exit code, and all that was stored stays."""

import os
import pickle
import resource
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from registry import Registry
from registry.records import RunFacts
from registry.tensors import pack
from tests.ui.commands import Command, Trained, assert_refused, home_of, run


def blob_of(command: Command, digest: str) -> Path:
    [path] = (home_of(command) / "blobs").rglob(f"*{digest[2:]}*")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("damage", ["cut", "flipped", "pickle", "empty", "gone"])
def test_a_damaged_blob_is_1_and_never_used(registry_command: Command, trained: Trained, damage: str) -> None:
    blob = blob_of(registry_command, trained.added["mood"]["sha256"])
    content = blob.read_bytes()
    flipped = content[:-9] + bytes([content[-9] ^ 4]) + content[-8:]
    damaged = {"cut": content[:-100], "flipped": flipped, "pickle": pickle.dumps({"a": 1}), "empty": b""}
    if damage == "gone":
        blob.unlink()
    else:
        blob.write_bytes(damaged[damage])
    assert_refused(registry_command("predict", "a text", "--expert", "mood@1"), 1)
    found = registry_command("verify", "mood@1", "--json")
    assert found.code == 1
    assert "mood@1" in found.out
    assert registry_command("verify", "topic@1").code == 0


def test_tensors_of_wrong_shapes_are_1_and_never_used(registry_command: Command) -> None:
    with Registry(home_of(registry_command)) as registry:
        good = registry.expert("mood@1")
        tensors, about = registry.tensors("mood@1")
        wrong = pack({name: values[..., :-1].copy() for name, values in tensors.items()}, about)
        run = registry.run(good.run)
        facts = {field.name: getattr(run, field.name) for field in fields(RunFacts)}
        same = {name: getattr(good, name) for name in ("task", "dataset", "base_model", "adapter", "config")}
        registry.add_expert(
            **same,
            labels=good.labels,
            parameters=good.parameters,
            payload=wrong,
            settings_key="wrong",
            run=RunFacts(**facts),
        )
    assert_refused(registry_command("predict", "a text", "--expert", "mood@2"), 1, "mood@2")


def test_a_database_newer_than_the_program_is_1(registry_command: Command) -> None:
    database = sqlite3.connect(home_of(registry_command) / "registry.db")
    with database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    assert_refused(registry_command("experts"), 1, "9999")
    assert_refused(registry_command("migrate"), 1, "9999")


def test_a_file_that_is_no_database_is_1(registry_command: Command) -> None:
    (home_of(registry_command) / "registry.db").write_bytes(b"something else entirely" * 500)
    assert_refused(registry_command("experts"), 1, "registry.db")


def test_a_home_that_is_a_file_is_1(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    assert_refused(run(tmp_path / "home" / "below", "experts"), 1, "home")


def test_a_home_where_nothing_can_be_made_is_1() -> None:
    assert_refused(run(Path("/proc/registry"), "experts"), 1, "/proc/registry")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_without_permission_is_1(registry_command: Command) -> None:
    home = home_of(registry_command)
    home.chmod(0o500)
    (home / "registry.db").chmod(0o400)
    outcome = registry_command("promote", "router@1", "--alias", "other")
    home.chmod(0o700)
    assert_refused(outcome, 1, "registry.db")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Writing past `size` bytes of any file fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_is_1_and_leaves_nothing_behind(
    registry_command: Command, empty_command: Command
) -> None:
    with files_of_at_most(2_000):
        outcome = empty_command("tasks")
    assert_refused(outcome, 1, "registry.db")
    assert empty_command("tasks", "--json").json == []
    home = home_of(registry_command)
    before = (home / "registry.db").read_bytes()
    with files_of_at_most(2_000):
        outcome = registry_command("promote", "router@1", "--alias", "other")
    assert_refused(outcome, 1)
    assert registry_command("verify").code == 0
    assert (home / "registry.db").read_bytes() == before
