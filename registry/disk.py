"""Folders and files as the registry needs them: private, durable, and with errors that people can read."""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from registry.errors import ConflictError, StorageError

_PATIENCE = 0.5
"""Seconds to wait for a lock: whoever removes the leftovers of others holds theirs for a moment."""


@contextmanager
def storage_errors(doing: str, path: Path) -> Iterator[None]:
    """Turns an OSError into one line that says what could not be done (`doing`, say "write") and where."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"Cannot {doing} {path}: {error.strerror}. Check free space, permissions and REGISTRY_HOME."
        ) from error


def private_folder(path: Path) -> Path:
    """Returns the folder `path`, made if need be with all above it, durably, for its owner alone.

    Raises:
        StorageError: It cannot be made, or is a file.
    """
    with storage_errors("make the folder", path):
        if not path.is_dir():
            private_folder(path.parent)
            path.mkdir(mode=0o700, exist_ok=True)
            sync(path.parent)
    return path


def sync(path: Path) -> None:
    """Makes a file durable, or the names in a folder: what was renamed into it stays after a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def partial_name(path: Path) -> Path:
    """Beside a file that is being made: nobody else writes to it, and `registry gc` finds what is left."""
    return path.with_suffix(f".{os.getpid()}-{secrets.token_hex(4)}.partial")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Opens a file that takes the place of `path` in one step when the block ends well; else nothing of it
    stays. Several threads and processes may be at it: the last one wins."""
    partial = partial_name(path)
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def claimed(path: Path, *, folder: bool = False, make: bool = True) -> Iterator[int]:
    """Opens a file or folder that only one process works on; one that is killed lets go of it.

    Args:
        path: The file or folder.
        folder: It is a folder.
        make: Make it when it is not there, for its owner alone.

    Raises:
        ConflictError: Another process has it.
        FileNotFoundError: It is not there, and not to be made.
    """
    descriptor = _claim(path, folder, make)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _claim(path: Path, folder: bool, make: bool) -> int:
    deadline = time.monotonic() + _PATIENCE
    while True:
        descriptor = _opened(path, folder, make)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if not isinstance(error, BlockingIOError):
                raise
            if time.monotonic() > deadline:
                raise ConflictError(f"Another process is writing {path}. Wait until it has ended.") from None
            time.sleep(_PATIENCE / 20)
            continue
        # Whoever had it before may have given it another name, or removed it.
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        os.close(descriptor)


def _opened(path: Path, folder: bool, make: bool) -> int:
    if not folder:
        return os.open(path, os.O_RDWR | (os.O_CREAT if make else 0) | os.O_NOFOLLOW, 0o600)
    while True:
        if make:
            path.mkdir(0o700, exist_ok=True)
        try:
            return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            if not make:  # Else somebody has removed it since.
                raise
