"""Folders and files as the registry needs them: private, durable, and with errors that people can read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from registry.errors import StorageError


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
