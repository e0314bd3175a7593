"""`gc`, `fsck`, `backup`, `restore` and `doctor` as a person meets them."""

import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from registry import Registry, filesystem, revisions
from registry.sqlite import driver
from tests.ui.commands import TIME, Command, Trained, assert_refused, assert_shape, home_of, run

LEFTOVER = "ab" * 32


def leave_behind(home: Path, content: bytes) -> Path:
    path = home / "blobs" / "sha256" / LEFTOVER[:2] / LEFTOVER
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def test_gc_removes_leftovers_and_tells_how_much(registry_command: Command) -> None:
    registry_command("gc", "--grace", "0")
    assert registry_command("gc", "--grace", "0").out == "Nothing to remove.\n"
    path = leave_behind(home_of(registry_command), b"x" * 2_500)
    assert registry_command("gc").out == "Nothing to remove.\n"
    assert registry_command("gc", "--grace", "0", "--dry-run").out == "Would remove 1 blob: 2.5 kB.\n"
    assert registry_command("gc", "--grace", "0", "--dry-run", "--json").json == {
        "dry_run": True,
        "blobs": 1,
        "temporaries": 0,
        "checkpoints": 0,
        "states": 0,
        "logs": 0,
        "bytes": 2_500,
    }
    assert path.exists()
    log = home_of(registry_command) / "logs" / "job-999.log"
    log.parent.mkdir(exist_ok=True)
    log.write_bytes(b"x" * 500)
    os.utime(log, (0, 0))
    assert registry_command("gc", "--grace", "0").out == "Removed 1 blob, 1 log: 3.0 kB.\n"
    assert not path.exists()
    assert registry_command("fsck", "--deep").out == "Every file is there, and every byte as it was stored.\n"
    assert_refused(registry_command("gc", "--grace", "-1"), 2, "--grace")


def test_gc_never_takes_what_the_next_prediction_needs(registry_command: Command) -> None:
    before = registry_command("predict", "The soup was fine.", "--json").json
    registry_command("gc", "--grace", "0")
    assert registry_command("predict", "The soup was fine.", "--json").json == before
    assert registry_command("retrain-router", "--json").json["created"] is False


def test_fsck_tells_problems_from_notes(registry_command: Command, trained: Trained) -> None:
    registry_command("gc", "--grace", "0")
    assert registry_command("fsck", "--json").json == {"problems": [], "notes": []}
    home = home_of(registry_command)
    leave_behind(home, b"left over")
    told = registry_command("fsck")
    assert told.code == 0
    assert "note  blobs" in told.out
    assert told.out.endswith("Every file is there.\n")
    digest = trained.added["mood"]["sha256"]
    (home / "blobs" / "sha256" / digest[:2] / digest).unlink()
    told = registry_command("fsck")
    assert told.code == 1
    assert "problem  mood@1" in told.out
    found = run(home, "fsck", "--json")
    assert found.code == 1
    assert f'"what": "The blob {digest} is missing."' in found.out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("damage", "registry.db is damaged or not a database"),
        ("UPDATE alembic_version SET version_num = '9999'", "is newer than this program"),
        ("UPDATE alembic_version SET version_num = '0001'", "Run `registry migrate`"),
    ],
)
def test_fsck_of_a_database_that_cannot_be_opened_tells_a_problem(
    tmp_path: Path, change: str, words: str
) -> None:
    Registry(tmp_path / "home").close()
    if change == "damage":
        (tmp_path / "home" / "registry.db").write_bytes(b"no database" * 500)
    else:
        with closing(driver.connect(tmp_path / "home" / "registry.db")) as connection:
            connection.execute(change)
            connection.commit()
    found = run(tmp_path / "home", "fsck", "--json")
    assert found.code == 1
    [problem] = json.loads(found.out)["problems"]
    assert json.loads(found.out) == {"problems": [problem], "notes": []}
    assert problem["subject"] == "database"
    assert words in problem["what"]
    told = run(tmp_path / "home", "fsck")
    assert told.code == 1
    assert "problem  database" in told.out


def test_a_backup_brings_everything_back(registry_command: Command, tmp_path: Path) -> None:
    made = registry_command("backup", str(tmp_path / "backup.tar"), "--json").json
    assert_shape(
        made,
        {
            "file": str(tmp_path / "backup.tar"),
            "bytes": (tmp_path / "backup.tar").stat().st_size,
            "blobs": int,
            "revision": revisions.HEAD,
        },
    )
    new = tmp_path / "restored"
    assert_shape(
        run(new, "restore", str(tmp_path / "backup.tar"), "--json").json,
        {
            "home": str(new),
            "blobs": made["blobs"],
            "created_at": TIME,
            "revision": revisions.HEAD,
            "outdated": False,
        },
    )
    assert run(new, "fsck", "--deep").code == 0
    for command in (("experts",), ("routers",), ("history",), ("lineage", "router"), ("tasks",)):
        assert run(new, *command, "--json").out == registry_command(*command, "--json").out
    text = "Where is phone number 3?"
    assert run(new, "predict", text, "--json").json == registry_command("predict", text, "--json").json
    assert run(new, "retrain-router", "--json").json["created"] is False


def test_backup_and_restore_say_what_they_made(registry_command: Command, tmp_path: Path) -> None:
    file, new = tmp_path / "a backup.tar", tmp_path / "new home"
    told = registry_command("backup", str(file))
    assert told.out.startswith(f"{file}: ")
    assert f"Next: registry restore '{file}' --home NEW" in told.err
    told = run(new, "restore", str(file))
    assert told.out.startswith(f"{new}: ")
    assert f"Next: registry fsck --home '{new}'" in told.err


def test_backup_and_restore_overwrite_nothing(registry_command: Command, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar"
    file.write_text("mine")
    assert_refused(registry_command("backup", str(file)), 4, "exists already")
    assert_refused(registry_command("backup", str(tmp_path)), 4, "is a folder", "/registry.tar")
    assert file.read_text() == "mine"
    file.unlink()
    registry_command("backup", str(file))
    assert_refused(registry_command("restore", str(file)), 4, "is not empty")
    assert_refused(run(tmp_path / "new", "restore", str(tmp_path / "no.tar")), 3, "There is no backup")
    file.write_bytes(file.read_bytes()[:-1])
    assert_refused(run(tmp_path / "new", "restore", str(file)), 1, "is not a backup that can be restored")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", [("gc",), ("fsck",), ("backup", "backup.tar")])
def test_a_misspelt_home_is_told_and_not_made(
    empty_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(empty_command(*command), 3, "There is no registry in", "--home")
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "backup.tar").exists()


def check(command: Command, name: str) -> tuple[str, str, str]:
    """State, value and advice of one check of `doctor`."""
    [found] = [one for one in json.loads(command("doctor", "--json").out) if one["check"] == name]
    return found["state"], found["value"], found["advice"]


def test_doctor_knows_the_file_system(
    registry_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    monkeypatch.setattr(filesystem, "MOUNTS", mounts)
    assert check(registry_command, "file system")[:2] == ("note", "cannot tell")
    assert "on a disk of this machine" in check(registry_command, "file system")[2]
    mounts.write_text("device / ext4 rw 0 0\n")
    assert check(registry_command, "file system") == ("ok", "ext4", "")
    mounts.write_text("device / nfs4 rw 0 0\n")
    assert check(registry_command, "file system")[:2] == ("wrong", "nfs4")
    state, value, advice = check(registry_command, "registry")
    assert (state, advice) == ("wrong", "")
    assert "PostgreSQL" in value
    assert_refused(registry_command("tasks"), 1, "network file system (nfs4)", "PostgreSQL")
    monkeypatch.setenv("REGISTRY_ALLOW_NETWORK", "1")
    state, _, advice = check(registry_command, "file system")
    assert state == "wrong"
    assert "REGISTRY_ALLOW_NETWORK" in advice
    assert check(registry_command, "registry")[0] == "ok"
    assert registry_command("tasks").code == 0


def test_doctor_knows_the_permissions(registry_command: Command) -> None:
    home = home_of(registry_command)
    for mode, state in ((0o700, "ok"), (0o750, "note"), (0o755, "note"), (0o777, "wrong")):
        home.chmod(mode)
        assert check(registry_command, "permissions")[0] == state
    home.chmod(0o700)
    if os.getuid():
        (home / "registry.db").chmod(0o400)
        assert check(registry_command, "permissions")[0] == "wrong"


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything; somebody else does not need to be changed."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def looked_at(home: Path) -> dict[str, tuple[str, str]]:
    """State and value of each check of `doctor`, which must print its table."""
    found = run(home, "doctor", "--json")
    assert (found.code, found.err) == (1, "")
    assert "permissions" in run(home, "doctor").out
    return {one["check"]: (one["state"], one["value"]) for one in json.loads(found.out)}


def test_doctor_tells_what_it_cannot_look_at() -> None:
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        for name in ("unreadable", "closed"):
            Registry(Path(folder) / name).close()
            (Path(folder) / name).chmod(0o755)
        database = Path(folder) / "unreadable" / "registry.db"
        database.chmod(0o000)
        (Path(folder) / "closed").chmod(0o000)
        try:
            with as_nobody():
                found = looked_at(Path(folder) / "unreadable")
                assert found["sqlite"] == ("wrong", f"cannot look at it (Permission denied: {database})")
                assert found["registry"][0] == "wrong"
                assert "unable to open" in found["registry"][1]
                closed = Path(folder) / "closed" / "registry.db"
                found = looked_at(Path(folder) / "closed")
                for name in ("sqlite", "registry"):
                    assert found[name] == ("wrong", f"cannot look at it (Permission denied: {closed})")
        finally:
            (Path(folder) / "closed").chmod(0o700)


def test_doctor_tells_of_a_home_that_cannot_be(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 300)
    found = looked_at(long)
    assert found["home"] == ("wrong", f"cannot look at it (File name too long: {long})")
    (tmp_path / "home" / "registry.db").mkdir(parents=True)
    found = looked_at(tmp_path / "home")
    assert found["sqlite"][1].startswith("cannot look at it (Is a directory: ")
    assert found["registry"][0] == "wrong"


def test_doctor_finds_a_base_model_that_is_gone(trained: Trained, tmp_path: Path) -> None:
    home = tmp_path / "copy"
    shutil.copytree(trained.home, home)
    from registry import Registry
    from tests.registry.samples import BASE

    with Registry(home) as registry:
        [used] = registry.base_models()
    assert check(lambda *arguments: run(home, *arguments), f"in use: {used.name}") == ("ok", used.spec, "")
    from dataclasses import replace

    with Registry(home) as registry:
        registry.add_base_model(replace(BASE, spec=str(tmp_path / "gone"), name="lost"))
    state, value, advice = check(lambda *arguments: run(home, *arguments), "in use: lost")
    assert (state, value) == ("wrong", str(tmp_path / "gone"))
    assert "Put back" in advice


def test_doctor_tells_of_an_older_database(tmp_path: Path) -> None:
    release = Path(__file__).parent.parent / "registry" / "releases" / "0.1.0"
    home = tmp_path / "old"
    shutil.copytree(release, home)
    state, value, _ = check(lambda *arguments: run(home, *arguments), "registry")
    assert state == "wrong"
    assert "registry migrate" in value
    assert check(lambda *arguments: run(home, *arguments), "sqlite")[0] in ("ok", "note")


def test_the_commands_of_the_document_run(
    registry_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    document = (Path(__file__).parent.parent.parent / "docs" / "reliability.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```sh\n(.*?)^```", document, re.MULTILINE | re.DOTALL)
    for line in block.splitlines():
        command, *arguments = shlex.split(line)
        assert command == "registry"
        assert registry_command(*arguments).code == 0, line
    assert (tmp_path / "restored" / "registry.db").exists()
