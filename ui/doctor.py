"""The examination behind `registry doctor`: is this machine, and this home, in a state to be trusted?"""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_data_path

from registry import filesystem
from ui.present import size

if TYPE_CHECKING:
    from ui.group import Session

ENOUGH = 1_000_000_000
"""Free bytes below which a home is called full: a base model and its cache want about this much."""

PACKAGES = (
    *("torch", "transformers", "tokenizers", "safetensors", "huggingface-hub", "datasets", "gguf", "numpy"),
    *("sqlalchemy", "alembic", "click", "rich"),
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at."""

    name: str
    state: str
    """`ok`, `note` for what is worth knowing, `wrong` for what should be mended."""
    value: str
    advice: str = ""


def places(home: Path | None) -> dict[str, Path]:
    """Where the home, its parts, and the base models shared by all homes are. Nothing is created."""
    root = (home or user_data_path("expert-registry")).expanduser().absolute()
    return {
        "home": root,
        "database": root / "registry.db",
        "blobs": root / "blobs",
        "cache": root / "cache",
    }


def examine(session: "Session") -> list[Check]:
    """Every check, in the order in which a person would look. Nothing is created and nothing is changed."""
    where = places(session.home)
    # A home that is not there yet will be made in the nearest folder that is.
    ground = next(folder for folder in (where["home"], *where["home"].parents) if _visible(folder))
    looks: tuple[tuple[str, Callable[[], Iterable[Check]]], ...] = (
        ("python", _python),
        ("sqlite", lambda: _sqlite(where["database"])),
        ("home", lambda: _home(where["home"])),
        ("permissions", lambda: _permissions(where, ground)),
        ("file system", lambda: _file_system(where["database"])),
        ("free space", lambda: _free_space(ground)),
        ("registry", lambda: _contents(session, where["database"])),
        ("base models", _base_models),
        ("devices", _devices),
    )
    return [check for name, look in looks for check in _looked(name, look)]


def _visible(folder: Path) -> bool:
    try:
        return folder.exists()
    except OSError:
        return False


def _looked(name: str, look: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """What `look` finds. What it cannot look at is a finding too, not the end of the examination."""
    try:
        yield from look()
    except OSError as error:
        place = "" if error.filename is None else f": {error.filename}"
        yield Check(name, "wrong", f"cannot look at it ({error.strerror or error}{place})")


def _python() -> Iterator[Check]:
    yield Check("python", "ok", sys.version.split()[0])
    for package in PACKAGES:
        try:
            yield Check(package, "ok", version(package))
        except PackageNotFoundError:
            yield Check(package, "wrong", "not installed", "Run make setup, or pip install expert-registry")


def _sqlite(database: Path) -> Iterator[Check]:
    from registry import sqlite

    number = sqlite.driver.sqlite_version
    safe = sqlite.journal_mode() == "WAL"
    journal = _journal(database)
    value = f"{number}, journal {journal or sqlite.journal_mode()}"
    if safe:
        yield Check("sqlite", "ok", value)
    elif journal == "WAL":
        advice = "This SQLite can corrupt a database in WAL mode: pip install 'expert-registry[sqlite]'"
        yield Check("sqlite", "wrong", value, advice)
    else:
        yield Check(
            "sqlite", "note", value, "Older than 3.51.3, which has a bug in WAL mode: WAL is not used"
        )


def _journal(database: Path) -> str | None:
    """The journal that the file's header names; None when there is no database. Byte 18 is 2 for WAL."""
    if not database.exists():
        return None
    with database.open("rb") as file:
        header = file.read(20)
    return "WAL" if header[18:19] == b"\x02" else "TRUNCATE"


def _home(home: Path) -> Iterator[Check]:
    yield Check("home", "ok", str(home) + ("" if home.exists() else " (not made yet)"))


def _permissions(where: dict[str, Path], ground: Path) -> Iterator[Check]:
    yield _permission(where, ground)


def _permission(where: dict[str, Path], ground: Path) -> Check:
    if not os.access(ground, os.W_OK | os.X_OK):
        advice = "Choose another home with --home"
        return Check("permissions", "wrong", f"{ground} is not writable", advice)
    for place in (where["database"], where["blobs"]):
        if place.exists() and not os.access(place, os.R_OK | os.W_OK):
            return Check("permissions", "wrong", f"{place} is not writable", f"chmod u+rw {place}")
    if not where["home"].exists():
        return Check("permissions", "ok", "writable")
    mode = where["home"].stat().st_mode
    if mode & 0o002:
        advice = f"Anybody on this machine may write in it: chmod o-w {where['home']}"
        return Check("permissions", "wrong", "writable", advice)
    if mode & 0o077:
        advice = f"Others on this machine may look into it: chmod go= {where['home']}"
        return Check("permissions", "note", "writable", advice)
    return Check("permissions", "ok", "writable, for its owner alone")


def _file_system(database: Path) -> Iterator[Check]:
    kind = filesystem.type_of(database)
    if kind == filesystem.UNKNOWN:
        advice = "Keep the home on a disk of this machine: SQLite's locks fail over a network"
        yield Check("file system", "note", "cannot tell", advice)
    elif kind not in filesystem.NETWORK:
        yield Check("file system", "ok", kind)
    elif filesystem.allowed():
        advice = f"SQLite's locks fail over a network, and {filesystem.ALLOW}=1 lets you lose versions by it"
        yield Check("file system", "wrong", kind, f"{advice}: move the home to a disk of this machine")
    else:
        yield Check("file system", "wrong", kind, "Choose a home on a disk of this machine with --home")


def _free_space(ground: Path) -> Iterator[Check]:
    free = shutil.disk_usage(ground).free
    advice = "" if free >= ENOUGH else "A base model and its cache want about 1 GB; try registry gc"
    yield Check("free space", "ok" if free >= ENOUGH else "wrong", size(free), advice)


def _contents(session: "Session", database: Path) -> Iterator[Check]:
    """What the registry holds; an error of the registry is a finding here, not the end of the examination."""
    from registry.errors import RegistryError

    if not database.exists():
        yield Check("registry", "ok", "empty")
        return
    try:
        with session.open() as registry:
            value = f"{len(registry.experts())} experts, {len(registry.generations())} router generations"
            used = registry.base_models()
    except RegistryError as error:
        yield Check("registry", "wrong", str(error))
        return
    yield Check("registry", "ok", value)
    for model in used:
        gone = Path(model.spec).is_absolute() and not Path(model.spec).exists()
        advice = f"Put back {model.spec}: its experts cannot answer without it" if gone else ""
        yield Check(f"in use: {model.name}", "wrong" if gone else "ok", model.spec, advice)


def _base_models() -> Iterator[Check]:
    from trainer import sources
    from trainer.sources.publish import cache_root

    for name, entry in sources.BUILT_INS.items():
        cached = (cache_root() / "models" / entry.key).is_dir()
        default = ", the default" if name == sources.DEFAULT else ""
        yield Check(f"base model {name}", "ok", ("cached" if cached else "fetched on first use") + default)


def _devices() -> Iterator[Check]:
    from trainer import devices
    from trainer.base_model import choose_device

    yield Check("device", "ok", f"auto is {choose_device('auto')}")
    for name, about in devices.every().items():
        yield Check(f"device {name}", "ok", about)
