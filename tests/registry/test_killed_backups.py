"""What killed backups and restorings leave, and several at work beside each other."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from registry import Registry, back_up, restore
from registry.database import FILE
from registry.errors import ConflictError

PARTIAL = ".partial-registry-backup"

HALF_HOME = ".partial-registry-home"


def test_a_killed_backup_or_restore_can_simply_be_run_again(
    filled: Registry, backup: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again.tar"

    def stop(done: int, _total: int) -> None:
        if done == 2:
            os._exit(9)

    def taking() -> None:
        back_up(filled, again, on_progress=stop)

    def putting_back() -> None:
        restore(backup, tmp_path / "new", on_progress=stop)

    for work in (taking, putting_back):
        child = os.fork()
        if not child:
            work()
        os.waitpid(child, 0)
    assert not again.exists()
    assert not (tmp_path / "new").exists()
    assert len(list(tmp_path.glob(".*"))) == 2
    back_up(filled, again)
    restore(again, tmp_path / "new")
    assert list(tmp_path.glob(".*")) == []


def in_folder(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_killed_ones_left_is_removed_whatever_its_name(
    filled: Registry, backup: Path, tmp_path: Path
) -> None:
    ours = [f".a.tar{PARTIAL}{suffix}" for suffix in ("", ".db", ".db-journal", ".db-wal", ".db-shm")]
    ours += [f".alone{PARTIAL}.db", f".b{PARTIAL}{PARTIAL}"]
    strange = [f"mine{PARTIAL}", f".c{PARTIAL}.txt", f".d{PARTIAL}.db.txt", f"{PARTIAL}", ".c.tar.partial"]
    for name in (*ours, *strange):
        (tmp_path / name).write_bytes(b"half a backup")
    for name in ("half", "mine"):
        (tmp_path / f".{name}{HALF_HOME}" / "blobs").mkdir(parents=True)
    (tmp_path / f".half{HALF_HOME}" / FILE).write_bytes(b"half a database")
    (tmp_path / f".mine{HALF_HOME}").rename(tmp_path / f"mine{HALF_HOME}")
    (tmp_path / f".link{HALF_HOME}").symlink_to(filled.home)
    before = in_folder(tmp_path)
    back_up(filled, tmp_path / "next.tar")
    assert in_folder(tmp_path) == before - set(ours) | {"next.tar"}
    restore(backup, tmp_path / "new")
    assert in_folder(tmp_path) == before - {*ours, f".half{HALF_HOME}"} | {"next.tar", "new"}
    assert filled.verify() == []


def test_those_at_work_are_left_alone(filled: Registry, backup: Path, tmp_path: Path) -> None:
    rounds: list[set[str]] = []

    def meanwhile(done: int, _total: int) -> None:
        if done == 1:
            before = {path.name for path in tmp_path.glob(".*")}
            back_up(filled, tmp_path / f"{len(rounds)}.tar")
            restore(backup, tmp_path / f"home {len(rounds)}")
            assert {path.name for path in tmp_path.glob(".*")} == before
            rounds.append(before)

    back_up(filled, tmp_path / "again.tar", on_progress=meanwhile)
    restore(tmp_path / "again.tar", tmp_path / "new", on_progress=meanwhile)
    assert rounds == [{f".again.tar{PARTIAL}"}, {f".new{HALF_HOME}"}]
    with Registry(tmp_path / "new") as restored:
        assert restored.verify() == []


def test_a_backup_in_a_crowd_of_others_that_tidy_up_is_made(filled: Registry, tmp_path: Path) -> None:
    """Whoever tidies up holds the locks of leftovers for a moment: nobody fails by that."""

    def work(number: int) -> None:
        for turn in range(5):
            made = back_up(filled, tmp_path / f"{number}.tar").file
            restore(made, tmp_path / f"home {number} {turn}")
            made.rename(tmp_path / f".{number}.tar{PARTIAL}")  # As if the next one had been killed.
            (tmp_path / f".home {number} {turn + 1}{HALF_HOME}").mkdir()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [None] * 4
    back_up(filled, tmp_path / "last.tar")
    restore(tmp_path / "last.tar", tmp_path / "last")
    assert list(tmp_path.glob(".*")) == []


def test_two_that_write_the_same_file_do_not_mix(filled: Registry, backup: Path, tmp_path: Path) -> None:
    told: list[str] = []

    def meanwhile(done: int, _total: int) -> None:
        if done == 1:
            for work in (
                lambda: back_up(filled, tmp_path / "again.tar"),
                lambda: restore(backup, tmp_path / "new"),
            ):
                try:
                    work()
                except ConflictError as error:
                    told.append(str(error).split(" ", maxsplit=3)[:3])  # type: ignore[arg-type]

    back_up(filled, tmp_path / "again.tar", on_progress=meanwhile)
    assert told == [["Another", "process", "is"]]
    shutil.rmtree(tmp_path / "new")
    restore(backup, tmp_path / "new", on_progress=meanwhile)
    assert len(told) == 3
