"""Folders and files as the registry needs them: private, durable, and with errors that people can read."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from registry.errors import ConflictError, StorageError


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
            sync_folder(path.parent)
    return path


def sync_folder(path: Path) -> None:
    """Makes the names in a folder durable: a file that was renamed into it stays after a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def claimed(path: Path, flags: int) -> Iterator[int]:
    """Opens a file or folder that only one process works on; one that is killed lets go of it.

    Args:
        path: The file, made where `flags` say so, or an existing folder.
        flags: As for `os.open`.

    Raises:
        ConflictError: Another process has it.
    """
    while True:
        descriptor = os.open(path, flags | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it before may have given it another name, or removed it.
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                yield descriptor
                return
        except BlockingIOError:
            raise ConflictError(f"Another process is writing {path}. Wait until it has ended.") from None
        finally:
            os.close(descriptor)
