"""Everything that this project raises on purpose.

RegistryError
├── NotFoundError         (LookupError)  an unknown name: task, expert, generation, alias, column, kind
├── ConflictError                        what is asked contradicts what is stored
│   └── FencedError                      a job that is not this process's any more
├── DataRefusedError      (ValueError)   a data file that cannot be taken exactly as written
├── InvalidSettingError   (ValueError)   a setting outside what is allowed
├── DamagedError                         stored bytes that are not what was stored
├── StorageError          (OSError)      the disk or its permissions say no
└── SchemaError                          a database of another version than this program

A message is one line: what was given, what is allowed, what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class RegistryError(Exception):
    """The root of the tree above; catch it to catch everything raised on purpose."""


class NotFoundError(RegistryError, LookupError):
    """A name that nothing carries."""


class ConflictError(RegistryError):
    """A request that contradicts what is stored, such as another kind of task under a taken name."""


class FencedError(ConflictError):
    """A write for a job that another worker has taken over, or that was cancelled: nothing was written."""


class DataRefusedError(RegistryError, ValueError):
    """A data file that cannot be taken exactly as written; the message names file, line and reason."""


class InvalidSettingError(RegistryError, ValueError):
    """A setting outside what is allowed."""


class DamagedError(RegistryError):
    """Stored bytes that do not match their digest, or are not tensors, or not the expected tensors."""


class StorageError(RegistryError, OSError):
    """The disk is full or read-only, a permission is missing, or the database stays locked."""


class SchemaError(RegistryError):
    """A database newer than this program, older than it, or not a registry at all."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """Returns `" Did you mean 'sst2'?"` when one of `choices` is close to `name`, else an empty string."""
    by_lower = {choice.lower(): choice for choice in choices}
    close = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f" Did you mean '{by_lower[close[0]]}'?" if close else ""


def not_found(what: str, name: str, choices: Iterable[str] = (), otherwise: str = "") -> NotFoundError:
    """The error for an unknown name: it suggests the nearest of `choices`, or else says `otherwise`."""
    suggestion = nearest(name, choices) or (otherwise and f" {otherwise}")
    return NotFoundError(f"There is no {what} {name!r}.{suggestion}")
