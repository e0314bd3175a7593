"""The collector removes what nothing refers to, and never what somebody is about to refer to."""

import os
import shutil
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from registry import Registry, collect, examine, features, tasks
from registry.canonical import sha256_of
from registry.database import FILE
from registry.errors import InvalidSettingError
from registry.garbage import Collected
from registry.records import NewDataset
from registry.references import referenced
from registry.sqlite import driver
from tests.registry.samples import add_expert, add_generation, payload
from tests.stress.forks import killed_at

NONE = timedelta(0)
DAY = 86_400


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds, time.time() - seconds))


def write(path: Path, content: bytes, seconds: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    age(path, seconds)
    return path


def names(registry: Registry) -> set[str]:
    return {path.name for path in registry.blobs.paths()}


def enqueue(registry: Registry, state: str, inputs: list[str], *, days: float = 0) -> None:
    """A row as it stands in `jobs`, in whatever state; one that has ended did so that many days ago."""
    running, ended = state == "running", state in ("done", "failed", "cancelled")
    then = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="microseconds")
    with driver.connect(registry.home / FILE) as connection:
        connection.execute(
            "INSERT INTO jobs (kind, params, params_sha256, inputs, state, attempt, max_attempts, owner, "
            "lease_until, cancel_requested, created_at, finished_at) "
            "VALUES ('add_task', '{}', ?, ?, ?, 1, 3, ?, ?, 0, '2026-01-01T00:00:00Z', ?)",
            (
                "0" * 64,
                "[" + ", ".join(f'"{name}"' for name in inputs) + "]",
                state,
                "me" if running else None,
                9e9 if running else None,
                then if ended else None,
            ),
        )
    connection.close()


def test_nothing_is_removed_from_a_registry_where_all_is_used(filled: Registry) -> None:
    filled.add_features("key", b"hidden states", {})
    before = names(filled)
    assert collect(filled, grace=NONE) == Collected()
    assert names(filled) == before
    assert filled.verify() == []
    assert filled.features("key") == b"hidden states"


def test_every_kind_of_row_is_a_reference(filled: Registry) -> None:
    filled.add_features("key", b"hidden states", {})
    enqueue(filled, "queued", [filled.blobs.add(b"rows of a job")])
    expected = {
        *(expert.sha256 for expert in filled.experts(all_versions=True)),
        *(generation.sha256 for generation in filled.generations()),
        *(dataset.sha256 for task in filled.tasks() for dataset in filled.datasets(task.name)),
        sha256_of(b"hidden states"),
        sha256_of(b"rows of a job"),
    }
    assert len(expected) == 3 + 2 + 3 + 2
    assert filled._database.read(referenced) == expected
    some = {*sorted(expected)[::2], "f" * 64}
    assert filled._database.read(referenced, some) == some - {"f" * 64}


def test_blobs_that_nothing_refers_to_go_when_they_are_old_enough(filled: Registry) -> None:
    before = names(filled)
    old, young = filled.blobs.add(b"old leftovers"), filled.blobs.add(b"young")
    age(filled.blobs.path(old), 1.01 * DAY)
    assert collect(filled, dry_run=True) == Collected(blobs=1, bytes=13)
    assert names(filled) == before | {old, young}
    assert collect(filled) == Collected(blobs=1, bytes=13)
    assert names(filled) == before | {young}
    assert collect(filled) == Collected()
    assert collect(filled, grace=NONE) == Collected(blobs=1, bytes=5)
    assert names(filled) == before


def test_what_a_cache_held_before_is_removed(registry: Registry) -> None:
    registry.add_features("key", b"old states", {})
    registry.add_features("key", b"new states", {})
    assert collect(registry, grace=NONE) == Collected(blobs=1, bytes=10)
    assert registry.features("key") == b"new states"


@pytest.mark.parametrize("days", [0, 29.99, 30.01])
@pytest.mark.parametrize("state", ["queued", "running", "needs_recovery", "failed", "cancelled", "done"])
def test_the_inputs_of_a_job_stay_until_it_is_done_or_given_up(
    registry: Registry, state: str, days: float
) -> None:
    digest = registry.blobs.add(b"rows of a job")
    enqueue(registry, state, [digest, "0" * 64], days=days)
    gone = state == "done" or (state in ("failed", "cancelled") and days > 30)
    assert collect(registry, grace=NONE).blobs == gone
    assert registry.blobs.has(digest) is not gone
    subjects = [problem.subject for problem in examine(registry).problems]
    assert subjects == ([] if gone else ["job 1"])  # For its other input, which was never there.


def test_what_two_jobs_need_stays_while_one_of_them_needs_it(registry: Registry) -> None:
    digest = registry.blobs.add(b"rows of two jobs")
    enqueue(registry, "failed", [digest], days=31)
    enqueue(registry, "failed", [digest], days=1)
    assert collect(registry, grace=NONE) == Collected()
    now = datetime.now(UTC)
    for days, expected in ((28, {digest}), (30, set())):
        assert registry._database.read(referenced, at=now + timedelta(days=days)) == expected
        assert registry._database.read(referenced, [digest], at=now + timedelta(days=days)) == expected


def test_half_written_files_go_but_not_those_of_the_last_hour(filled: Registry) -> None:
    folder = filled.blobs.path(filled.expert("sst2").sha256).parent
    old = [
        write(folder / ".0123456789abcdef.1.2.tmp", b"half a blo", DAY * 1.1),
        write(filled.home / "cache" / "checkpoints" / "key.12.partial", b"half a check", DAY * 1.1),
        write(filled.home / f"{FILE}.backup.tmp", b"half a backup", DAY * 1.1),
    ]
    young = write(folder / ".0123456789abcdef.1.3.tmp", b"being written", 60)
    for dry_run in (True, False):
        found = collect(filled, grace=NONE, dry_run=dry_run)
        assert found == Collected(temporaries=3, bytes=35)
    assert [path.exists() for path in (*old, young)] == [False, False, False, True]


def test_what_a_killed_worker_left_goes_but_not_what_a_living_one_holds(registry: Registry) -> None:
    alive = registry.jobs.owner()
    dead = write(registry.home / "workers" / "somewhere-1-abcd", b"", DAY * 2)
    held = registry.home / "workers" / alive.name
    age(held, DAY * 2)
    assert collect(registry).temporaries == 1
    assert (dead.exists(), held.exists()) == (False, True)
    alive.close()


def test_checkpoints_stay_for_thirty_days(filled: Registry) -> None:
    folder = filled.home / "cache" / "checkpoints"
    old = write(folder / "a.safetensors", b"abc", 31 * DAY)
    kept = write(folder / "b.safetensors", b"abc", 29 * DAY)
    assert collect(filled, grace=NONE) == Collected(checkpoints=1, bytes=3)
    assert (old.exists(), kept.exists()) == (False, True)


def test_cached_states_stay_for_thirty_days_after_they_were_last_used(filled: Registry) -> None:
    folder = filled.home / "cache" / "states"
    old = write(folder / "a.states", b"abc", 31 * DAY)
    kept = write(folder / "b.states", b"abc", 29 * DAY)
    assert collect(filled, grace=NONE) == Collected(states=1, bytes=3)
    assert (old.exists(), kept.exists()) == (False, True)


def test_logs_of_jobs_stay_for_thirty_days(registry: Registry) -> None:
    folder = registry.home / "logs"
    old = [write(folder / name, b"abc", 31 * DAY) for name in ("job-7.log", "job-12.log")]
    kept = [
        write(folder / "job-8.log", b"abc", 29 * DAY),
        *(write(folder / name, b"mine", 31 * DAY) for name in ("job-.log", "job-mine.log", "job-7.log.1")),
    ]
    for dry_run in (True, False):
        assert collect(registry, grace=NONE, dry_run=dry_run) == Collected(logs=2, bytes=6)
    assert [path.exists() for path in (*old, *kept)] == [False] * 2 + [True] * 4


def test_what_is_not_the_registrys_is_left_alone(filled: Registry, tmp_path: Path) -> None:
    digest = filled.blobs.add(b"blob")
    folder = filled.blobs.path(digest).parent
    strange = [
        write(folder / "notes.txt", b"mine", 2 * DAY),
        write(filled.home / "blobs" / "sha256" / "zz" / digest, b"in the wrong folder", 2 * DAY),
        write(filled.home / f"{FILE}.pre-0002", b"a backup", 60 * DAY),
    ]
    target = write(tmp_path / "elsewhere", b"not ours", 2 * DAY)
    filled.blobs.path(digest).unlink()
    filled.blobs.path(digest).symlink_to(target)
    assert collect(filled, grace=NONE) == Collected()
    assert all(path.exists() for path in (*strange, target, filled.blobs.path(digest)))


def test_a_negative_grace_is_refused(registry: Registry) -> None:
    with pytest.raises(InvalidSettingError, match="is negative"):
        collect(registry, grace=timedelta(hours=-1))


def test_an_empty_home_has_nothing_to_collect(registry: Registry) -> None:
    assert collect(registry, grace=NONE) == Collected()


def test_a_blob_collected_before_its_row_is_written_is_stored_again(registry: Registry) -> None:
    """Between storing a blob and writing the row is where the collector can overtake every publisher."""
    work = registry._database.write
    for content in (b"rows", b"states"):
        sha256 = registry.blobs.add(content)
        assert collect(registry, grace=NONE) == Collected(blobs=1, bytes=len(content))
        if content == b"rows":
            facts = NewDataset(
                task="sst2",
                kind="classification",
                labels=("no", "yes"),
                rows={"train": 1},
                columns={"text": "text"},
                source="sst2.csv",
                findings=(),
            )
            dataset = work(tasks.add_dataset, facts, registry.blobs, sha256, content)
            assert registry.rows(dataset) == b"rows"
        else:
            work(features.add, "key", {}, registry.blobs, sha256, content)
            assert registry.features("key") == b"states"
        assert collect(registry, grace=NONE) == Collected()


@pytest.mark.parametrize("point", ["gc.begun", "gc.unlinked", "gc.committed"])
def test_a_killed_collection_is_finished_by_the_next(home: Path, point: str) -> None:
    with Registry(home) as registry:
        expert = add_expert(registry)
        add_generation(registry, expert.name)
        kept = names(registry)
        leftovers = [registry.blobs.add(payload(number)) for number in range(100, 140)]

    def collection() -> None:
        with Registry(home) as registry:
            collect(registry, grace=NONE)

    assert killed_at(point, collection) == 1
    with Registry(home) as registry:
        left = names(registry)
        assert kept <= left
        assert len(left & set(leftovers)) == {"gc.begun": 40, "gc.unlinked": 39, "gc.committed": 8}[point]
        assert collect(registry, grace=NONE).blobs == len(left - kept)
        assert names(registry) == kept
        assert registry.verify() == []


def test_two_collectors_at_once_count_every_blob_once(home: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with Registry(home) as registry:
        for number in range(100):
            registry.blobs.add(bytes([number]))
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: collect(registry, grace=NONE), range(4)))
        assert sum(each.blobs for each in found) == 100
        assert names(registry) == set()


def test_collected_adds_up() -> None:
    assert Collected().plus("blobs", 3).plus("blobs", 4) == replace(Collected(), blobs=2, bytes=7)


def test_a_home_whose_cache_was_deleted_is_collected(filled: Registry) -> None:
    shutil.rmtree(filled.cache)
    assert collect(filled, grace=NONE) == Collected()
