"""The examination tells what is lost from what is only left over, and looks at every file."""

from datetime import timedelta
from pathlib import Path

import pytest

from registry import Problem, Registry, collect, examine
from registry.database import FILE
from registry.fsck import Report
from registry.sqlite import driver
from tests.registry.samples import add_expert, payload
from tests.registry.test_garbage import enqueue, write
from tests.registry.test_verify import overwrite, tamper


@pytest.mark.parametrize("deep", [False, True])
def test_a_filled_registry_is_in_order(filled: Registry, deep: bool) -> None:
    filled.add_features("key", b"hidden states", {})
    enqueue(filled, "queued", [filled.blobs.add(b"rows of a job")])
    assert examine(filled, deep=deep) == Report()


@pytest.mark.parametrize("deep", [False, True])
def test_leftovers_are_notes_until_they_are_collected(filled: Registry, deep: bool) -> None:
    filled.blobs.add(b"nobody refers to this")
    filled.blobs.add(b"nor to this")
    folder = filled.blobs.path(filled.expert("sst2").sha256).parent
    write(folder / ".0123456789abcdef.1.2.tmp", b"half a blo", 7_200)
    assert examine(filled, deep=deep) == Report(
        notes=(
            Problem(subject="blobs", what="2 that nothing refers to; `registry gc` removes them"),
            Problem(
                subject="temporary files",
                what="1 that a crash left, or that are being written; `registry gc` removes them",
            ),
        )
    )
    collect(filled, grace=timedelta(0))
    assert examine(filled, deep=deep) == Report()


@pytest.mark.parametrize("deep", [False, True])
def test_every_row_without_its_file_is_found(filled: Registry, deep: bool) -> None:
    enqueue(filled, "failed", [filled.blobs.add(b"rows of a job")])
    enqueue(filled, "done", ["0" * 64])
    for path in filled.blobs.paths():
        path.unlink()
    report = examine(filled, deep=deep)
    assert [problem.subject for problem in report.problems] == [
        "sst2/data@1",
        "sst2/data@2",
        "trec/data@1",
        "sst2@1",
        "sst2@2",
        "trec@1",
        "router@1",
        "router@2",
        "job 1",
    ]
    assert all("is missing." in problem.what for problem in report.problems)
    assert report.notes == ()


@pytest.mark.parametrize("deep", [False, True])
def test_another_size_is_found_without_reading(filled: Registry, deep: bool) -> None:
    overwrite(filled.blobs.path(filled.expert("trec@1").sha256), b"short")
    report = examine(filled, deep=deep)
    assert [problem.subject for problem in report.problems] == ["trec@1"]
    assert deep or report.problems[0].what == f"its blob has 5 bytes, its row says {len(payload(3))}"


def test_only_the_deep_examination_reads_every_byte(filled: Registry) -> None:
    path = filled.blobs.path(filled.expert("trec@1").sha256)
    overwrite(path, bytes(reversed(path.read_bytes())))
    rows = filled.blobs.path(filled.dataset("sst2", 1).sha256)
    overwrite(rows, b"x" * rows.stat().st_size)
    assert examine(filled) == Report()
    seen: list[tuple[int, int]] = []
    report = examine(filled, deep=True, on_progress=lambda done, total: seen.append((done, total)))
    assert [problem.subject for problem in report.problems] == ["sst2/data@1", "trec@1"]
    assert seen == [(done, 8) for done in range(1, 9)]


@pytest.mark.parametrize("deep", [False, True])
def test_a_lost_cache_is_only_a_note(filled: Registry, deep: bool) -> None:
    filled.add_features("lost", b"hidden states", {})
    filled.add_features("cut", b"more hidden states", {})
    filled.blobs.path(filled.blobs.add(b"hidden states")).unlink()
    overwrite(filled.blobs.path(filled.blobs.add(b"more hidden states")), b"more")
    report = examine(filled, deep=deep)
    assert report.problems == ()
    assert sorted(note.subject for note in report.notes) == ["cache cut", "cache lost"]
    assert all(note.what.endswith(" It is computed again when it is needed.") for note in report.notes)


def test_two_rows_that_say_different_things_of_one_blob_are_told_apart(registry: Registry) -> None:
    add_expert(registry, number=1)
    add_expert(registry, number=1, settings_key="another")
    tamper(registry.home, "UPDATE experts SET bytes = 7 WHERE version = 2")
    expected = Problem(subject="sst2@2", what=f"its blob has {len(payload(1))} bytes, its row says 7")
    for deep in (False, True):
        assert examine(registry, deep=deep) == Report(problems=(expected,))
    assert registry.verify() == [expected]


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (
            "UPDATE aliases SET generation = 1 WHERE name = 'production'",
            Problem(subject="router@production", what="stands for router@1, its history says router@2"),
        ),
        (
            "DELETE FROM alias_events WHERE name = 'stable'",
            Problem(subject="sst2@stable", what="stands for sst2@1, its history says None"),
        ),
        (
            "DELETE FROM experts WHERE task = 'sst2' AND version = 1",
            Problem(subject="sst2", what="has 1 versions, the newest is 2"),
        ),
        (
            "DELETE FROM runs WHERE id = 1",
            Problem(subject="database", what="a row of experts refers to a missing row of runs"),
        ),
    ],
)
def test_rows_that_contradict_each_other_are_found(
    filled: Registry, statement: str, problem: Problem
) -> None:
    tamper(filled.home, statement)
    assert problem in examine(filled).problems
    assert problem in filled.verify()


def test_any_number_of_lost_files_is_told(registry: Registry) -> None:
    """More than SQLite takes parameters."""
    add_expert(registry)
    tamper(
        registry.home,
        "WITH RECURSIVE more(number) AS (SELECT 2 UNION ALL SELECT number + 1 FROM more LIMIT 39999) "
        "INSERT INTO datasets SELECT task, number, printf('%064x', number), labels, rows, columns, source, "
        "findings, created_at FROM datasets, more",
    )
    assert len(examine(registry).problems) == 39_999


def test_a_missing_trigger_is_found(filled: Registry) -> None:
    with driver.connect(filled.home / FILE) as connection:
        connection.execute("DROP TRIGGER slots_frozen_delete")
    connection.close()
    assert examine(filled) == Report(
        problems=(
            Problem(
                subject="database", what="slots can be changed: the trigger slots_frozen_delete is missing"
            ),
        )
    )


def test_a_damaged_database_is_a_problem_and_not_a_crash(registry: Registry) -> None:
    for number in range(20):
        add_expert(registry, number=number, settings_key="k" * 1_000)
    path = registry.home / FILE
    content = path.read_bytes()
    for page in range(1, len(content) // 4_096, 4):
        path.write_bytes(content[: page * 4_096] + b"\xff" * 512 + content[page * 4_096 + 512 :])
        assert any(problem.subject == "database" for problem in examine(registry).problems)
    path.write_bytes(content)
    assert examine(registry) == Report()


def test_an_examination_changes_nothing(filled: Registry) -> None:
    def state(folder: Path) -> dict[Path, tuple[int, bytes]]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = state(filled.home)
    examine(filled, deep=True)
    assert state(filled.home) == before
