"""Verify finds every change to what is stored, and tells it from what a crash may leave."""

import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from registry import Problem, Registry
from registry.database import FILE
from registry.errors import DamagedError, RegistryError
from registry.sqlite import driver
from tests.registry.samples import add_expert, payload


def overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def tamper(home: Path, statement: str) -> None:
    """Changes rows the way nobody can by accident: without the triggers."""
    with closing(driver.connect(home / FILE, isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
        for _, sql in triggers:
            connection.execute(sql)


def test_a_filled_registry_is_clean(filled: Registry) -> None:
    assert filled.verify() == []
    for ref in ("sst2", "sst2@1", "trec@1", "router@1", "router@production"):
        assert filled.verify(ref) == []


def test_leftovers_of_a_crash_are_no_problem(filled: Registry) -> None:
    filled.blobs.add(b"nobody refers to this")
    folder = filled.blobs.path(filled.expert("sst2").sha256).parent
    (folder / ".0123456789abcdef.1.2.tmp").write_bytes(b"half a blo")
    assert filled.verify() == []


def test_a_thousand_flipped_bits_are_all_found(filled: Registry) -> None:
    expert = filled.expert("trec@1")
    path = filled.blobs.path(expert.sha256)
    good = path.read_bytes()
    chance = random.Random(0)
    places = [*range(8 * (8 + 64)), *(chance.randrange(8 * len(good)) for _ in range(1_000))]
    for place in places:
        broken = bytearray(good)
        broken[place // 8] ^= 1 << place % 8
        overwrite(path, bytes(broken))
        with pytest.raises(DamagedError, match="its bytes have another digest"):
            filled.tensors("trec@1")
    assert filled.verify("trec@1") == [
        Problem(
            subject="trec@1",
            what=f"The blob {expert.sha256} is damaged: its bytes have another digest. Restore it.",
        )
    ]
    assert [problem.subject for problem in filled.verify("router@2")] == ["trec@1"]
    assert [problem.subject for problem in filled.verify()] == ["trec@1"]
    assert filled.verify("sst2") == filled.verify("router@1") == []


@pytest.mark.parametrize(
    "change",
    [lambda content: content[:-1], lambda _: b"", lambda _: b"\x80\x04K*.", lambda _: payload(77), None],
    ids=["cut short", "empty", "a pickle", "another expert", "gone"],
)
def test_a_swapped_blob_is_found_and_never_loaded(
    filled: Registry, change: Callable[[bytes], bytes] | None
) -> None:
    path = filled.blobs.path(filled.expert("sst2@1").sha256)
    if change is None:
        path.unlink()
    else:
        overwrite(path, change(path.read_bytes()))
    with pytest.raises(DamagedError):
        filled.tensors("sst2@1")
    assert [problem.subject for problem in filled.verify()] == ["sst2@1"]


def test_damaged_rows_of_a_dataset_are_found(filled: Registry) -> None:
    dataset = filled.dataset("sst2", 1)
    overwrite(filled.blobs.path(dataset.sha256), b"other rows")
    with pytest.raises(DamagedError):
        filled.rows(dataset)
    assert [problem.subject for problem in filled.verify()] == ["sst2/data@1"]
    assert [problem.subject for problem in filled.verify("sst2@1")] == ["sst2/data@1"]


def test_damaged_router_is_found(filled: Registry) -> None:
    overwrite(filled.blobs.path(filled.generation("router@2").sha256), b"")
    assert [problem.subject for problem in filled.verify()] == ["router@2"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE generations SET config = '{}' WHERE number = 2",
        "UPDATE generations SET router = 'lexical' WHERE number = 2",
        "UPDATE slots SET slot = 1 - slot + 10 WHERE generation = 2",
        "UPDATE datasets SET sha256 = (SELECT sha256 FROM datasets WHERE task = 'trec') "
        "WHERE task = 'sst2' AND version = 2",
        "UPDATE experts SET sha256 = (SELECT sha256 FROM experts WHERE task = 'trec') "
        "WHERE task = 'sst2' AND version = 2",
    ],
)
def test_a_generation_whose_parts_were_changed_has_another_root(filled: Registry, statement: str) -> None:
    tamper(filled.home, statement)
    root = filled.generation("router@2").root
    problems = filled.verify("router@2")
    assert [problem.subject for problem in problems] == ["router@2"]
    assert problems[0].what.endswith(f", not {root}")
    assert problems[0] in filled.verify()


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (
            "UPDATE experts SET bytes = 1 WHERE task = 'trec'",
            Problem(subject="trec@1", what=f"its blob has {len(payload(3))} bytes, its row says 1"),
        ),
        (
            "DELETE FROM experts WHERE task = 'sst2' AND version = 1",
            Problem(subject="sst2", what="has 1 versions, the newest is 2"),
        ),
        (
            "DELETE FROM datasets WHERE task = 'sst2' AND version = 1",
            Problem(subject="sst2/data", what="has 1 versions, the newest is 2"),
        ),
        (
            "DELETE FROM generations WHERE number = 1",
            Problem(subject="router", what="has 1 generations, the newest is 2"),
        ),
        (
            "DELETE FROM slots WHERE generation = 2 AND slot = 0",
            Problem(subject="router@2", what="has 1 experts, the last slot is 1"),
        ),
        (
            "DELETE FROM runs WHERE id = 1",
            Problem(subject="database", what="a row of experts refers to a missing row of runs"),
        ),
    ],
)
def test_missing_and_changed_rows_are_found(filled: Registry, statement: str, problem: Problem) -> None:
    tamper(filled.home, statement)
    assert problem in filled.verify()


def test_any_flipped_bit_of_the_database_is_harmless_or_a_clear_error(filled: Registry) -> None:
    path = filled.home / FILE
    good = path.read_bytes()
    chance = random.Random(0)
    told = 0
    for _ in range(500):
        place = chance.randrange(len(good))
        path.write_bytes(good[:place] + bytes([good[place] ^ 1 << chance.randrange(8)]) + good[place + 1 :])
        try:
            told += bool(filled.verify())
        except RegistryError as error:
            assert "\n" not in str(error)
            told += 1
    path.write_bytes(good)
    assert filled.verify() == []
    assert told > 0


def test_a_missing_trigger_is_found(filled: Registry) -> None:
    with closing(driver.connect(filled.home / FILE)) as connection:
        connection.execute("DROP TRIGGER experts_frozen_update")
    assert filled.verify() == [
        Problem(
            subject="database",
            what="experts can be changed: the trigger experts_frozen_update is missing",
        )
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE experts SET labels = '5' WHERE version = 2",
        "UPDATE experts SET config = '{' WHERE version = 2",
        "UPDATE experts SET created_at = 'yesterday' WHERE version = 2",
        "ALTER TABLE experts RENAME COLUMN adapter TO adaptor",
    ],
)
def test_a_row_that_cannot_be_read_is_damage(filled: Registry, statement: str) -> None:
    tamper(filled.home, statement)
    with pytest.raises(DamagedError):
        filled.expert("sst2")
    assert [problem.subject for problem in filled.verify()] == ["database"]


def test_a_damaged_database_is_a_problem_and_not_a_crash(registry: Registry) -> None:
    for number in range(20):
        add_expert(registry, number=number, settings_key="k" * 1_000)
    path = registry.home / FILE
    content = bytearray(path.read_bytes())
    found = 0
    for page in range(1, len(content) // 4_096):
        broken = bytearray(content)
        broken[page * 4_096 : page * 4_096 + 512] = b"\xff" * 512
        path.write_bytes(broken)
        found += any(problem.subject == "database" for problem in registry.verify())
    path.write_bytes(content)
    assert registry.verify() == []
    assert found >= len(content) // 4_096 - 3
