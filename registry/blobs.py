"""Files named by the SHA-256 of what is in them: written once, durably, and never changed."""

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from registry.canonical import sha256_of
from registry.disk import private_folder, storage_errors, sync
from registry.errors import DamagedError
from registry.faults import fault

_NAME = re.compile("[0-9a-f]{64}")


class Blobs:
    """The blobs under one folder, at `sha256/ab/abcd...`.

    A name appears only when its bytes are on the disk, so whatever a crash leaves behind is a temporary file
    or a blob that nothing refers to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """Where the blob is, or would be."""
        return self.folder / "sha256" / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        """Whether there is such a blob; its bytes are not looked at."""
        path = self.path(sha256)
        with storage_errors("read", path):
            return path.is_file()

    def paths(self) -> Iterator[Path]:
        """Every blob there is, whether or not something refers to it."""
        for path in self.folder.glob("sha256/??/*"):
            if _NAME.fullmatch(path.name) and path == self.path(path.name):
                yield path

    def add(self, content: bytes) -> str:
        """Stores `content` and returns its digest. What is there already is left, unless it is damaged.

        Raises:
            StorageError: The disk is full or read-only, or a permission is missing. Nothing is left behind.
        """
        sha256 = sha256_of(content)
        path = self.path(sha256)
        private_folder(path.parent)
        with storage_errors("write", path):
            if not self._holds(path, content):
                _publish(path, content)
            sync(path.parent)
        fault("blob.published")
        return sha256

    def get(self, sha256: str) -> bytes:
        """The bytes of a blob, after checking them against its name.

        Raises:
            DamagedError: It is missing, or its bytes are not those that were stored.
            StorageError: It cannot be read.
        """
        path = self.path(sha256)
        with storage_errors("read", path):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                raise DamagedError(f"The blob {sha256} is missing. Put it back from a backup.") from None
        if sha256_of(content) != sha256:
            raise DamagedError(f"The blob {sha256} is damaged: its bytes have another digest. Restore it.")
        return content

    def ensure(self, sha256: str, content: bytes) -> None:
        """Stores `content` again if its blob has gone, collected since it was added.

        Every function that writes a row which refers to a blob calls this, in that row's transaction.
        """
        path = self.path(sha256)
        if not self.has(sha256):
            self.add(content)
        else:
            # It may be another process's, whose own sync of the folder is still to come.
            with storage_errors("write", path):
                sync(path.parent)

    @staticmethod
    def _holds(path: Path, content: bytes) -> bool:
        try:
            return path.stat().st_size == len(content) and path.read_bytes() == content
        except FileNotFoundError:
            return False


def _publish(path: Path, content: bytes) -> None:
    # A name of its own, since another process may be publishing the same bytes at this moment.
    temporary = path.with_name(f".{path.name[:16]}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    fault("blob.opened")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            fault("blob.written")
            os.fchmod(file.fileno(), 0o444)
            os.fsync(file.fileno())
        fault("blob.synced")
        temporary.rename(path)
        fault("blob.renamed")
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
