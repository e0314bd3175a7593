"""Killed while an expert or a generation is published, while an alias moves, and while the collector runs."""

import os
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from registry import Registry
from registry.faults import fault
from registry.fsck import examine
from registry.garbage import collect, temporaries
from tests.registry.samples import add_expert, add_generation
from tests.stress.kills import Scene, Tally, killed_and_repeated

PUBLISH = (
    "blob.opened",
    "blob.written",
    "blob.synced",
    "blob.renamed",
    "blob.published",
    "row.begun",
    "row.inserted",
    "row.committed",
)
PROMOTE = ("promote.begun", "promote.moved", "promote.recorded", "promote.committed")
COLLECT = ("gc.begun", "gc.unlinked", "gc.committed")
NO_GRACE = timedelta(0)


def prepare(home: Path) -> None:
    """A home with an expert and two generations, one of them in production."""
    with Registry(home) as registry:
        expert = add_expert(registry)
        for number in range(2):
            add_generation(registry, expert.name, number=number)
        registry.promote("router@1")


def expert(home: Path, number: int, point: str) -> Tally:
    """Adds an expert."""

    def work() -> None:
        with Registry(home) as registry:
            add_expert(registry, number=2 * number + 10)

    return _published(home, point, work)


def generation(home: Path, number: int, point: str) -> Tally:
    """Adds a generation."""

    def work() -> None:
        with Registry(home) as registry:
            add_generation(registry, "sst2@1", number=2 * number + 11)

    return _published(home, point, work)


def promotion(home: Path, number: int, point: str) -> Tally:
    """Moves production to the generation that is not there now."""
    with Registry(home) as registry:
        before = _production(registry)
        events = len(registry.history())
    target = "router@2" if before == "router@1" else "router@1"

    def work() -> None:
        with Registry(home) as registry:
            registry.promote(target, reason=f"round {number}")
        fault("promote.committed")  # As the verbs have it, which promote in their own transaction.

    def stands() -> tuple[str, int]:
        with Registry(home) as registry:
            return _production(registry), len(registry.history())

    moved = (target, events + 1)
    left = moved if point == "promote.committed" else (before, events)
    return killed_and_repeated(point, work, left=lambda: stands() == left, after=lambda: stands() == moved)


def collection(home: Path, number: int, point: str) -> Tally:
    """Collects three blobs that nothing refers to; whatever is referred to stays."""
    with Registry(home) as registry:
        kept = blobs(registry)
        for part in range(3):
            registry.blobs.add(f"leftover {number} {part}".encode())

    def work() -> None:
        with Registry(home) as registry:
            collect(registry, grace=NO_GRACE)

    def present() -> set[str]:
        return {path.name for path in (home / "blobs" / "sha256").glob("??/[0-9a-f]*")}

    return killed_and_repeated(point, work, left=lambda: kept <= present(), after=lambda: present() == kept)


SCENES = (
    Scene(PUBLISH, expert),
    Scene(PUBLISH, generation),
    Scene(PROMOTE, promotion),
    Scene(COLLECT, collection),
)


def looked_over(home: Path) -> Tally:
    """What no kill may leave: rows without their blob, gaps among versions, anything that `verify` finds."""
    with Registry(home) as registry:
        problems = registry.verify()
        experts, generations = registry.experts(all_versions=True), registry.generations()
        gaps = [e.version for e in experts] != list(range(1, len(experts) + 1))
        gaps += [g.number for g in generations] != list(range(1, len(generations) + 1))
        dangling = sum(not registry.blobs.has(sha256) for sha256 in blobs(registry))
    return Counter(dangling=dangling, gaps=gaps, problems=len(problems))


def tidied(home: Path) -> Tally:
    """Collects what all the kills have left, as if it were old; what `fsck` then still says."""
    then = time.time() - 7_200
    for path in temporaries(home):
        os.utime(path, (then, then))
    with Registry(home) as registry:
        collected = collect(registry, grace=NO_GRACE)
        report = examine(registry, deep=True)
    return Counter(
        collected=collected.blobs + collected.temporaries,
        problems=len(report.problems),
        uncollected=len(report.notes),
    )


def _published(home: Path, point: str, work: Callable[[], object]) -> Tally:
    before = _names(home)
    done = point == "row.committed"
    left: set[str] = set()

    def as_left() -> bool:
        left.update(_names(home))
        return before <= left and len(left - before) == done

    return killed_and_repeated(
        point,
        work,
        left=as_left,
        after=lambda: left <= _names(home) and len(_names(home) - left) == 1,
    )


def _names(home: Path) -> set[str]:
    with Registry(home) as registry:
        experts = {expert.name for expert in registry.experts(all_versions=True)}
        return experts | {generation.name for generation in registry.generations()}


def _production(registry: Registry) -> str:
    return registry.generation("router@production").name


def blobs(registry: Registry) -> set[str]:
    """The digests that experts, generations and rows refer to."""
    found = {one.sha256 for one in (*registry.experts(all_versions=True), *registry.generations())}
    return found | {rows.sha256 for task in registry.tasks() for rows in registry.datasets(task.name)}
