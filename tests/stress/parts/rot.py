"""Bits of frozen files turn, files are cut, rows are changed behind the back: all of it is found."""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from registry import DamagedError, Expert, Registry, RegistryError, schema
from registry.database import FILE
from registry.sqlite import driver
from tests.registry.samples import ACCURACY, add_expert, add_generation
from tests.stress.sizes import Progress, sized

TITLE = "flipped bits, cut files, and changed rows of what is frozen"
TARGET = (
    "every header byte and 1,000 random payload bits flipped, cut at every 512 bytes: all refused before a "
    "tensor is used; any change of frozen bytes, rows or order found by `verify`"
)
MINUTES = 1.0
SMALL = 0.02

Questions = tuple[Callable[[], object], ...]

PAYLOAD_BITS = 1_000
CUT = 512

# What decides what a generation answers: changes here are found even where somebody puts the triggers back.
PINNED = {
    "datasets": ("task", "version", "sha256"),
    "experts": ("task", "version", "base_model", "dataset", "sha256", "bytes"),
    "generations": ("number", "router", "config", "base_model", "sha256", "root"),
    "slots": ("generation", "slot", "task", "version"),
}


def run(folder: Path, scale: float) -> dict[str, int | float]:
    """Counts what was damaged, and what of it was used or not noticed."""
    counts = refusals(folder, scale)
    home = filled(folder / "frozen")
    chosen = random.Random(0)
    for name, changes in (("blobs", changed_blobs(home)), ("rows", changed_rows(home))):
        for change in changes:
            if chosen.random() < max(scale, 0.1):
                counts[f"{name}_changed"] += 1
                counts["unnoticed"] += not noticed(folder, home, change)
    return dict(counts)


def reached(figures: dict[str, int | float]) -> bool:
    """Nothing damaged was used, and nothing changed went unnoticed."""
    tried = all(
        figures[name] > 0 for name in ("headers", "payloads", "cuts", "blobs_changed", "rows_changed")
    )
    return tried and not figures["used"] and not figures["unnoticed"]


def refusals(folder: Path, scale: float) -> Counter[str]:
    """Damages the file of an expert in many ways, and asks each time for what is in it."""
    names = ("headers", "payloads", "cuts", "used", "blobs_changed", "rows_changed", "unnoticed")
    counts: Counter[str] = Counter(dict.fromkeys(names, 0))
    with Registry(folder / "home") as registry:
        expert, asked = trained(folder, registry) if scale > 0.05 else untrained(registry)
        for ask in asked:
            ask()
        path = registry.blobs.path(expert.sha256)
        damages = list(damaged(path.read_bytes(), scale))
        path.chmod(0o600)
        progress = Progress(len(damages), "damaged files")
        for kind, content in damages:
            path.write_bytes(content)
            counts[kind] += 1
            counts["used"] += sum(not refused(ask) for ask in asked)
            progress.step()
    return counts


def trained(folder: Path, registry: Registry) -> tuple[Expert, Questions]:
    """A real expert, asked for its tensors and for itself, ready to run."""
    from tests.tiny_models import tiny_llama
    from tests.trainer.samples import QUICK, write
    from trainer import add_task
    from trainer.base_model import BaseModel
    from trainer.thawing import thawed

    base = BaseModel.load(str(tiny_llama(folder / "model")), device="cpu")
    add_task(registry, write(folder, "mood"), base_model=base, settings=QUICK)
    expert = registry.expert("mood")
    return expert, (lambda: registry.tensors(expert.name), lambda: thawed(registry, base, expert))


def untrained(registry: Registry) -> tuple[Expert, Questions]:
    """An expert of a few numbers: a small run has no time to load torch."""
    expert = add_expert(registry)
    return expert, (lambda: registry.tensors(expert.name),)


def damaged(good: bytes, scale: float) -> Iterator[tuple[str, bytes]]:
    """The file with one thing wrong: every header byte in two ways, random payload bits, cut short."""
    chance = random.Random(0)
    header = 8 + int.from_bytes(good[:8], "little")
    every = max(1, round(1 / scale))
    for place in range(0, header, every):
        for pattern in (1 << chance.randrange(8), 0xFF):
            yield "headers", flipped(good, place, pattern)
    for _ in range(sized(PAYLOAD_BITS, scale)):
        yield "payloads", flipped(good, chance.randrange(header, len(good)), 1 << chance.randrange(8))
    for size in range(0, len(good), CUT * every):
        yield "cuts", good[:size]


def flipped(content: bytes, place: int, pattern: int) -> bytes:
    """The bytes with the bits of `pattern` turned in one of them."""
    return content[:place] + bytes([content[place] ^ pattern]) + content[place + 1 :]


def refused(ask: Callable[[], object]) -> bool:
    """Whether asking for something damaged is refused, as damage."""
    try:
        ask()
    except DamagedError:
        return True
    return False


def filled(home: Path) -> Path:
    """A home with three experts and two generations."""
    with Registry(home) as registry:
        add_expert(registry, "sst2", rows=1, number=1, evaluations=(ACCURACY,))
        add_generation(registry, "sst2@1", number=1)
        add_expert(registry, "sst2", rows=2, number=2, evaluations=(ACCURACY,))
        add_expert(registry, "trec", rows=1, number=3, evaluations=(ACCURACY,))
        add_generation(registry, "sst2@2", "trec@1", number=2)
        registry.promote("router@2")
    return home


def changed_blobs(home: Path) -> Iterator[Callable[[Path], None]]:
    """Every blob that a frozen row names: one bit turned, cut, emptied, another's bytes, gone."""
    with Registry(home) as registry:
        experts = registry.experts(all_versions=True)
        digests = [expert.sha256 for expert in experts]
        digests += [generation.sha256 for generation in registry.generations()]
        digests += [data.sha256 for task in registry.tasks() for data in registry.datasets(task.name)]
        places = [registry.blobs.path(digest).relative_to(home) for digest in digests]
    contents = [(home / place).read_bytes() for place in places]
    for number, (place, good) in enumerate(zip(places, contents, strict=True)):
        for bad in (flipped(good, len(good) // 2, 1), good[:-1], b"", contents[number - 1], None):

            def change(copy: Path, place: Path = place, bad: bytes | None = bad) -> None:
                path = copy / place
                path.chmod(0o600)
                path.unlink() if bad is None else path.write_bytes(bad)

            yield change


def changed_rows(home: Path) -> Iterator[Callable[[Path], None]]:
    """Every column of every row of every frozen table, and every row taken away; the order of slots turned.

    The triggers that refuse this are dropped first. They are put back where more than they gives it away.
    """
    for table in schema.FROZEN:
        pinned = PINNED.get(table.name, ())
        with closing(driver.connect(home / FILE)) as connection:
            rows = connection.execute(f"SELECT rowid, * FROM {table.name}").fetchall()
        for rowid, *values in rows:
            yield behind_the_back(f"DELETE FROM {table.name} WHERE rowid = {rowid}", put_back=False)
            for column, value in zip(table.columns, values, strict=True):
                new = repr(other(value, column.type.python_type))
                statement = f"UPDATE {table.name} SET {column.name} = {new} WHERE rowid = {rowid}"
                yield behind_the_back(statement, put_back=False)
                if column.name in pinned:
                    yield behind_the_back(statement, put_back=True)
    away, turned = "UPDATE slots SET slot = slot + 2", "UPDATE slots SET slot = 3 - slot"
    yield behind_the_back(f"{away} WHERE generation = 2; {turned} WHERE generation = 2", put_back=True)


def other(value: object, kind: type) -> object:
    """A value of the same type that is not the same."""
    if isinstance(value, int | float):
        return value + 1_000
    if value is None:
        return 1_000 if kind is int else "x"
    return f"{str(value)[:-1]}{'1' if str(value)[-1:] == '0' else '0'}"


def behind_the_back(statements: str, *, put_back: bool) -> Callable[[Path], None]:
    """Changes rows by hand, as nobody can by accident."""

    def change(copy: Path) -> None:
        with closing(driver.connect(copy / FILE, isolation_level=None)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            triggers = found.fetchall()
            for name, _ in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            connection.executescript(statements)
            for _, sql in triggers if put_back else ():
                connection.execute(sql)

    return change


def noticed(folder: Path, home: Path, change: Callable[[Path], None]) -> bool:
    """Whether `verify` has something to say about a copy of the home with the change."""
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(home, copy)
    change(copy)
    try:
        with Registry(copy) as registry:
            return bool(registry.verify())
    except RegistryError:
        return True
