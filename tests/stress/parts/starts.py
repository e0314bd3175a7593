"""Many processes that open one home at the same moment: new, with a write-ahead log, or to migrate."""

import shutil
from functools import partial
from pathlib import Path

from registry import Registry, migration
from registry.database import FILE, migrate
from tests.stress.forks import together
from tests.stress.kills.migrating import RELEASE
from tests.stress.sizes import Progress, sized

TITLE = "processes open one home at the same moment: a new home, one with a write-ahead log, one to migrate"
TARGET = "200 at once on a new home and 50 on an old schema: 0 failures; the same in 25 crowds of 8"
MINUTES = 1.5
SMALL = 0.04

NEW = 200
OLD = 50
CROWDS = 25
CROWD = 8


def run(folder: Path, scale: float) -> dict[str, int | float]:
    """Counts starts, those that failed, and homes that are not as they should be afterwards."""
    crowds = [(CROWD, CROWD)] * sized(CROWDS, scale) + [(sized(NEW, scale, 4), sized(OLD, scale, 4))]
    progress = Progress(len(crowds), "crowds")
    starts = failed = wrong = 0
    for number, (new, old) in enumerate(crowds):
        place = folder / str(number)
        failed += together([partial(use, place / "new")] * new)
        (place / "ahead").mkdir()
        (place / "ahead" / FILE).touch()
        failed += together([partial(migration.create, place / "ahead" / FILE, journal="WAL")] * old)
        shutil.copytree(RELEASE, place / "old")
        failed += together([partial(migrate, place / "old")] * old)
        starts += new + 2 * old
        wrong += sum(not sound(place / home) for home in ("new", "ahead", "old"))
        wrong += len(list((place / "old").glob("*.pre-*"))) != 1
        shutil.rmtree(place)
        progress.step()
    return {"starts": starts, "failed": failed, "homes_not_as_they_should_be": wrong}


def reached(figures: dict[str, int | float]) -> bool:
    """Every start succeeds and leaves one sound home."""
    return figures["starts"] > 0 and not figures["failed"] and not figures["homes_not_as_they_should_be"]


def use(home: Path) -> None:
    """Opens a home, looks at it and writes to it, as a command does."""
    with Registry(home) as registry:
        assert registry.experts() == []
        registry.add_features("key", b"what every start caches", {})


def sound(home: Path) -> bool:
    """Whether a home opens and everything in it is as it was stored."""
    with Registry(home) as registry:
        return registry.verify() == []
