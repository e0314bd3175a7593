"""What is half-made beside a backup or a home, under names that nobody else uses; and its removal.

Whoever makes a backup or a home holds the lock of what is half-made, which the system takes from it when it
dies. So each backup removes what killed ones left in its folder, whatever their names, and so does restoring.
"""

import re
import shutil
from pathlib import Path

from registry.disk import claimed
from registry.errors import ConflictError

_BACKUP = ".partial-registry-backup"
_HOME = ".partial-registry-home"
# While SQLite copies it, a database has files beside it.
_COPIES = (".db", ".db-journal", ".db-wal", ".db-shm")
_OF_BACKUPS = re.compile(rf"(\..+{re.escape(_BACKUP)})(?:{'|'.join(map(re.escape, _COPIES))})?", re.DOTALL)


def partial_backup(target: Path) -> Path:
    """Where the backup `target` is made."""
    return target.with_name(f".{target.name}{_BACKUP}")


def copied_database(partial: Path) -> Path:
    """Where the database is copied to while a backup is made."""
    return partial.with_name(partial.name + _COPIES[0])


def partial_home(target: Path) -> Path:
    """Where the home `target` is made."""
    return target.with_name(f".{target.name}{_HOME}")


def remove_copy(partial: Path) -> None:
    """Removes what is there of the copy of the database. The caller has claimed `partial`."""
    for suffix in _COPIES:
        partial.with_name(partial.name + suffix).unlink(missing_ok=True)


def remove_backups(folder: Path) -> None:
    """Removes what killed backups have left in `folder`, and nothing of those that live."""
    found = (_OF_BACKUPS.fullmatch(path.name) for path in folder.glob(f".*{_BACKUP}*"))
    for partial in {folder / match[1] for match in found if match}:
        try:
            # Made if need be: the copy of a database may have been left alone.
            with claimed(partial):
                remove_copy(partial)
                partial.unlink()
        except (ConflictError, OSError):
            continue  # Somebody is at work on it, or it is another user's.


def remove_homes(folder: Path) -> None:
    """Removes what killed restorings have left in `folder`, and nothing of those that live."""
    for partial in folder.glob(f".?*{_HOME}"):
        try:
            with claimed(partial, folder=True, make=False):
                shutil.rmtree(partial)
        except (ConflictError, OSError):
            continue  # As above.
