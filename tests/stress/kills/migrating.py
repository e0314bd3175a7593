"""Killed while a home is made or migrated: at the named steps, and after every single statement."""

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from registry import Registry, migration
from registry.database import FILE, migrate
from registry.sqlite import driver
from tests.registry.samples import add_expert, add_generation
from tests.stress.kills import Scene, Tally, killed_and_repeated

MIGRATE = ("migrate.copied", "migrate.backed_up", "migrate.checked", "migrate.committed")
TESTS = Path(__file__).parents[2] / "registry"
REVISIONS = TESTS / "revisions"
RELEASE = TESTS / "releases" / "0.1.0"
"""A small home of the first release."""


def release(home: Path, number: int, point: str) -> Tally:
    """Migrates a home of the first release to the newest revision."""
    reference, old = home.parent / "migrated", home.parent / f"old-{number}-{point}"
    if not reference.exists():
        shutil.copytree(RELEASE, reference)
        migrate(reference)
    shutil.copytree(RELEASE, old)
    before = rows(reference if point == "migrate.committed" else RELEASE)

    def migrated_whole() -> bool:
        with Registry(old) as registry:
            return rows(old) == rows(reference) and registry.verify() == []

    tally = killed_and_repeated(
        point, lambda: migrate(old), left=lambda: rows(old) == before, after=migrated_whole
    )
    shutil.rmtree(old)
    return tally


SCENES = (Scene(MIGRATE, release),)


def making(folder: Path, every: int) -> Tally:
    """Kills after every n-th statement of making a new home."""
    tally: Tally = Counter()
    for number, point in enumerate(_statements(every)):
        home = folder / f"new-{number}"

        def work(home: Path = home) -> None:
            Registry(home).close()

        def sound(home: Path = home) -> bool:
            with Registry(home) as registry:
                return registry.verify() == []

        one = killed_and_repeated(point, work, left=lambda: True, after=sound)
        shutil.rmtree(home)
        if not one["kills"]:
            break
        tally += one
    return tally


def rebuilding(folder: Path, every: int) -> Tally:
    """Kills after every n-th statement of a migration that rebuilds tables that others refer to."""
    tally: Tally = Counter()
    old = folder / "to-rebuild"
    with Registry(old) as registry:
        add_expert(registry)
        add_generation(registry, add_expert(registry, number=1).name)
    before = rows(old)
    for number, point in enumerate(_statements(every)):
        home = folder / f"rebuilt-{number}"
        shutil.copytree(old, home)

        def work(home: Path = home) -> None:
            migration.upgrade(home / FILE, [REVISIONS])

        def as_before(home: Path = home) -> bool:
            return rows(home) in (before, migrated(before))

        def rebuilt(home: Path = home) -> bool:
            return rows(home) == migrated(before)

        one = killed_and_repeated(point, work, left=as_before, after=rebuilt)
        shutil.rmtree(home)
        if not one["kills"]:
            break
        tally += one
    return tally


def rows(home: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, and every trigger."""
    with closing(driver.connect(home / FILE)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        found = {
            name: sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            for (name,) in tables
            if name != "alembic_version"
        }
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        return {**found, "triggers": sorted(triggers.fetchall())}


def migrated(old: dict[str, list[tuple[object, ...]]]) -> dict[str, list[tuple[object, ...]]]:
    """What `rows` of a home become by the revision in `revisions/`."""
    new = dict(old)
    for table in ("tasks", "experts"):
        new[table] = sorted([(*row, None) for row in old[table]], key=repr)
    new["notes"] = []
    refuse = "BEGIN SELECT RAISE(ABORT, 'notes are frozen: rows are added, never changed'); END"
    taken = "WHEN EXISTS (SELECT 1 FROM notes WHERE id = NEW.id) "
    added = [
        (
            f"notes_frozen_{name}",
            f"CREATE TRIGGER notes_frozen_{name} BEFORE {event} ON notes FOR EACH ROW {when}",
        )
        for name, event, when in (
            ("delete", "DELETE", refuse),
            ("replace", "INSERT", taken + refuse),
            ("update", "UPDATE", refuse),
        )
    ]
    new["triggers"] = sorted([*old["triggers"], *added])
    return new


def _statements(every: int) -> Iterator[str]:
    for number in range(1, 10_000, every):
        yield f"migrate.statement.{number}"
