"""Who runs a job: a process that holds the lock of a file, which the system takes from it when it dies.

Unlike a process number, a lock cannot be mistaken for another process's, whatever the clock does.
"""

import fcntl
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from registry.disk import private_folder, storage_errors

FOLDER = "workers"

LEASE = 60.0
"""Seconds after which a worker that does not renew its claim loses it, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a job: every write for it names job, attempt and owner."""

    job: int
    attempt: int
    owner: str


class Owner:
    """This process as the owner of jobs in a home, until it closes it or dies."""

    def __init__(self, home: Path) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._path = private_folder(home / FOLDER) / self.name
        with storage_errors("make", self._path):
            # Not inherited by the processes that do the work: they may outlive their owner for a moment.
            self._file = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def close(self) -> None:
        """Owns nothing any more."""
        self._path.unlink(missing_ok=True)
        os.close(self._file)


def gone(home: Path, owner: str) -> bool:
    """Whether an owner has closed or died. One that is stopped or asleep has not: there its lease counts."""
    try:
        file = os.open(home / FOLDER / owner, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError:  # Somebody else's, say: then its lease alone counts.
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True
