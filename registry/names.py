"""The names that people type: `sst2`, `sst2@3`, `sst2@stable`, `router@12`, `router@production`."""

import re
from dataclasses import dataclass

from registry.errors import InvalidSettingError, NotFoundError

ROUTER = "router"
"""The subject of every router generation; no task may take it."""

_TASK = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,63}")
# Eighteen digits always fit SQLite's integers.
_VERSION = re.compile(r"[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed name: a subject with a version, with an alias, or with neither (the newest)."""

    subject: str
    version: int | None = None
    alias: str | None = None

    def __str__(self) -> str:
        selector = self.alias if self.version is None else self.version
        return self.subject if selector is None else f"{self.subject}@{selector}"


def parse(text: str) -> Reference:
    """Returns what `text` names, without asking whether it exists.

    Raises:
        NotFoundError: `text` cannot be a name of anything.
    """
    subject, at, selector = text.partition("@")
    if not at and subject:
        return Reference(subject)
    if subject and _VERSION.fullmatch(selector):
        return Reference(subject, version=int(selector))
    if subject and _ALIAS.fullmatch(selector):
        return Reference(subject, alias=selector)
    raise NotFoundError(
        f"{text!r} names nothing. Write a task (sst2), a version (sst2@3, router@12) or an alias "
        "(router@production)."
    )


def check_task(name: str) -> str:
    """Returns `name` if a task may carry it.

    Raises:
        InvalidSettingError: It is reserved, or holds other characters than allowed.
    """
    if name == ROUTER:
        raise InvalidSettingError(f"A task cannot be named {name!r}, which names the router. Choose another.")
    if not _TASK.fullmatch(name):
        raise InvalidSettingError(
            f"A task cannot be named {name!r}. Use 1 to 64 lowercase letters, digits, '-' and '_', "
            "starting with a letter or a digit."
        )
    return name


def parse_alias(text: str, subject: str) -> tuple[str, str]:
    """Returns subject and name of an alias: `sst2@stable` says both, `production` belongs to `subject`.

    Raises:
        InvalidSettingError: The name would read as a version, or holds other characters than allowed.
    """
    given, _, name = text.rpartition("@")
    if not _ALIAS.fullmatch(name):
        raise InvalidSettingError(
            f"An alias cannot be named {name!r}. Use 1 to 64 lowercase letters, digits, '-' and '_', "
            "starting with a letter."
        )
    return given or subject, name
