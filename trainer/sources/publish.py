"""Folders of the user's cache that appear whole or not at all, built once however many processes ask."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_dir

from registry.disk import sync
from registry.errors import StorageError


def cache_root(cache: Path | None = None) -> Path:
    """Where converted models go: `cache`, else `$REGISTRY_CACHE`, else the platform's cache folder."""
    if cache is not None:
        return cache
    return Path(os.environ.get("REGISTRY_CACHE") or user_cache_dir("expert-registry")).expanduser()


def published(folder: Path, build: Callable[[Path], None]) -> Path:
    """`folder`, built by `build` when it is not there yet.

    `build(work)` fills `work / "model"`; anything else it leaves in `work` is removed. The folder takes its
    name only after every file in it has reached the disk. The next process removes what a killed one left.

    Raises:
        StorageError: no space, no permission, or a read-only file system.
    """
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _only_one(folder.with_name(f".{folder.name}.lock")):
            if not folder.is_dir():
                _build(folder, build)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"cannot write the base model to {folder}: {error.strerror or error}; "
            "free some space or set REGISTRY_CACHE to a folder you can write to"
        ) from error
    return folder


def _build(folder: Path, build: Callable[[Path], None]) -> None:
    """Build in a temporary folder beside `folder`, flush, rename. The caller holds the lock."""
    for leftover in folder.parent.glob(f".{folder.name}.*.partial"):
        shutil.rmtree(leftover)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent) as work:
        model = Path(work) / "model"
        model.mkdir()
        build(Path(work))
        for file in model.iterdir():
            file.chmod(0o644)  # safetensors writes 0600: another user's process could not read it
            sync(file)
        model.chmod(0o755)
        sync(model)
        model.rename(folder)
    sync(folder.parent)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; the system frees it when its holder ends, however it ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
