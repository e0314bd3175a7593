"""The examination behind `registry doctor`: is this machine, and this home, in a state to be trusted?"""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_data_path

from ui.present import size

if TYPE_CHECKING:
    from ui.group import Session

ENOUGH = 1_000_000_000
"""Free bytes below which a home is called full: a base model and its cache want about this much."""

NETWORK = ("nfs", "cifs", "smb", "smb2", "smb3", "9p", "gpfs", "lustre", "ceph", "afs")
"""File systems whose locks SQLite cannot rely on; `fuse.*` may be one as well."""

PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "sqlalchemy", "numpy")


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
    ground = next(folder for folder in (where["home"], *where["home"].parents) if folder.exists())
    return [
        *_python(),
        _sqlite(where["database"]),
        *_home(where["home"], ground),
        _contents(session, where["database"]),
        *_base_models(),
        _device(),
    ]


def _python() -> Iterator[Check]:
    yield Check("python", "ok", sys.version.split()[0])
    for package in PACKAGES:
        try:
            yield Check(package, "ok", version(package))
        except PackageNotFoundError:
            yield Check(package, "wrong", "not installed", "Run make setup, or pip install expert-registry")


def _sqlite(database: Path) -> Check:
    from registry import sqlite

    number = sqlite.driver.sqlite_version
    safe = sqlite.journal_mode() == "WAL"
    journal = _journal(database)
    value = f"{number}, journal {journal or sqlite.journal_mode()}"
    if safe:
        return Check("sqlite", "ok", value)
    if journal == "WAL":
        advice = "This SQLite can corrupt a database in WAL mode: pip install 'expert-registry[sqlite]'"
        return Check("sqlite", "wrong", value, advice)
    return Check("sqlite", "note", value, "Older than 3.51.3, which has a bug in WAL mode: WAL is not used")


def _journal(database: Path) -> str | None:
    """The journal that the file's header names; None when there is no database. Byte 18 is 2 for WAL."""
    if not database.is_file():
        return None
    with database.open("rb") as file:
        header = file.read(20)
    return "WAL" if header[18:19] == b"\x02" else "TRUNCATE"


def _home(home: Path, ground: Path) -> Iterator[Check]:
    yield Check("home", "ok", str(home) if home.exists() else f"{home} (not made yet)")
    if os.access(ground, os.W_OK | os.X_OK):
        open_to_all = home.exists() and home.stat().st_mode & 0o002
        advice = f"Anybody on this machine may write in it: chmod o-w {home}" if open_to_all else ""
        yield Check("permissions", "wrong" if open_to_all else "ok", "writable", advice)
    else:
        yield Check("permissions", "wrong", f"{ground} is not writable", "Choose another home with --home")
    kind = file_system(ground)
    shared = kind in NETWORK or kind.startswith("fuse.")
    advice = (
        "Locks over a network are not reliable: let one machine at a time use this home" if shared else ""
    )
    yield Check("file system", "note" if shared else "ok", kind, advice)
    free = shutil.disk_usage(ground).free
    advice = "" if free >= ENOUGH else "A base model and its cache want about 1 GB"
    yield Check("free space", "ok" if free >= ENOUGH else "wrong", size(free), advice)


def file_system(folder: Path) -> str:
    """The type of file system that holds `folder`, such as ext4; "unknown" where the system does not tell."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown"
    best, kind = "", "unknown"
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        _, place, name, *_rest = line.split(" ")
        mounted = place.replace("\\040", " ")
        if len(mounted) >= len(best) and folder.resolve().is_relative_to(mounted):
            best, kind = mounted, name
    return kind


def _contents(session: "Session", database: Path) -> Check:
    """What the registry holds; an error of the registry is a finding here, not the end of the examination."""
    from registry.errors import RegistryError

    if not database.is_file():
        return Check("registry", "ok", "empty")
    try:
        with session.open() as registry:
            value = f"{len(registry.experts())} experts, {len(registry.generations())} router generations"
    except RegistryError as error:
        return Check("registry", "wrong", str(error))
    return Check("registry", "ok", value)


def _base_models() -> Iterator[Check]:
    from trainer import sources
    from trainer.sources.publish import cache_root

    for name, entry in sources.BUILT_INS.items():
        cached = (cache_root() / "models" / entry.key).is_dir()
        default = ", the default" if name == sources.DEFAULT else ""
        yield Check(f"base model {name}", "ok", ("cached" if cached else "fetched on first use") + default)


def _device() -> Check:
    from trainer.base_model import choose_device

    return Check("device", "ok", f"auto is {choose_device('auto')}")
