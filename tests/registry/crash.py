"""`kill -9` at every step of publishing, making and migrating: `python -m tests.registry.crash --rounds 50`.

After each kill the home must be clean and doing the same again must work. Prints the counts as JSON: of
`kills`, and of what went wrong.
"""

import argparse
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from registry import Registry, migration
from registry.database import FILE
from registry.sqlite import driver
from tests.registry.samples import add_expert, add_generation
from tests.stress.forks import killed_at

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
MIGRATE = ("migrate.copied", "migrate.backed_up", "migrate.checked", "migrate.committed")
REVISIONS = Path(__file__).parent / "revisions"


def publishing(folder: Path, rounds: int, _every: int) -> Counter[str]:
    """Kills at each step of adding an expert and of adding a generation, `rounds` times in one home."""
    counts: Counter[str] = Counter(kills=0, problems=0, gaps=0, lost=0)
    home = folder / "publish"
    with Registry(home) as registry:
        add_expert(registry)
    for number in range(1, rounds + 1):
        for place, point in enumerate(PUBLISH):
            different = number * 100 + place * 2

            def expert(number: int = different) -> None:
                with Registry(home) as registry:
                    add_expert(registry, number=number)

            def generation(number: int = different + 1) -> None:
                with Registry(home) as registry:
                    add_generation(registry, "sst2", number=number)

            for work in (expert, generation):
                before = _published(home)
                counts["kills"] += killed_at(point, work)
                work()
                after = _published(home)
                done_twice = point == "row.committed"
                counts["lost"] += len(after - before) != 1 + done_twice or not before <= after
                counts["problems"] += _problems(home, "sst2" if work is expert else "router")
        counts["problems"] += _problems(home)
    with Registry(home) as registry:
        for number, made in enumerate(registry.experts(all_versions=True), 1):
            counts["gaps"] += made.version != number
    return counts


def making(folder: Path, _rounds: int, every: int) -> Counter[str]:
    """Kills at each step of making a new home."""
    counts: Counter[str] = Counter(kills=0, problems=0)
    for number, point in enumerate(_steps(("migrate.committed",), every)):
        home = folder / f"new-{number}"
        killed = killed_at(point, lambda home=home: Registry(home).close())
        counts["kills"] += killed
        counts["problems"] += _problems(home)
        shutil.rmtree(home)
        if point.startswith("migrate.statement") and not killed:
            break
    return counts


def migrating(folder: Path, _rounds: int, every: int) -> Counter[str]:
    """Kills at each step of migrating a home with rows in it by a revision that rebuilds parent tables."""
    counts: Counter[str] = Counter(kills=0, half_migrated=0, changed=0)
    old = folder / "old"
    with Registry(old) as registry:
        add_expert(registry)
        add_generation(registry, add_expert(registry, number=1).name)
    for number, point in enumerate(_steps(MIGRATE, every)):
        home = folder / f"old-{number}"
        shutil.copytree(old, home)

        def migrate(path: Path = home / FILE) -> None:
            migration.upgrade(path, [REVISIONS])

        killed = killed_at(point, migrate)
        counts["kills"] += killed
        if killed and point != "migrate.committed":
            counts["half_migrated"] += rows(home) != rows(old)
        migrate()
        counts["changed"] += migrated(rows(old)) != rows(home)
        shutil.rmtree(home)
        if point.startswith("migrate.statement") and not killed:
            break
    return counts


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


def _steps(named: tuple[str, ...], every: int) -> Iterator[str]:
    yield from named
    for number in range(1, 10_000, every):
        yield f"migrate.statement.{number}"


def _published(home: Path) -> set[str]:
    with Registry(home) as registry:
        experts = {expert.name for expert in registry.experts(all_versions=True)}
        return experts | {generation.name for generation in registry.generations()}


def _problems(home: Path, ref: str | None = None) -> int:
    with Registry(home) as registry:
        return len(registry.verify(ref))


MEASURES: dict[str, Callable[[Path, int, int], Counter[str]]] = {
    "publishing": publishing,
    "making": making,
    "migrating": migrating,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("measures", nargs="*", default=[*MEASURES], help=", ".join(MEASURES))
    parser.add_argument("--rounds", type=int, default=50, help="how often to publish at each step")
    parser.add_argument("--every", type=int, default=1, help="take every n-th statement of a migration")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        sizes = (Path(name), given.rounds, given.every)
        print(json.dumps({measure: MEASURES[measure](*sizes) for measure in given.measures}))
