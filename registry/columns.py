"""How values that SQLite has no type for are kept as text."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import REAL, Dialect, Text, TypeDecorator, literal_column

from registry.canonical import canonical_json
from registry.errors import DamagedError, InvalidSettingError

NOW = literal_column("(julianday('now') - 2440587.5) * 86400.0", REAL)
"""Seconds since 1970 by the database's own clock."""


class Time(TypeDecorator[datetime]):
    """An aware datetime as ISO text in UTC, always with microseconds, so that text order is time order."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Returns the text; a datetime without a time zone is refused rather than guessed at."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise InvalidSettingError(f"The time {value.isoformat()} names no time zone. Give it in UTC.")
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """Returns the datetime, in UTC."""
        return None if value is None else _parsed(datetime.fromisoformat, value)


class Json(TypeDecorator[Any]):
    """A value as canonical JSON text. NaN is refused: SQLite would store it as something that is not JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Returns the text."""
        return None if value is None else canonical_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Returns the value."""
        return None if value is None else _parsed(json.loads, value)


class JsonTuple(Json):
    """A tuple of strings as canonical JSON text."""

    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Returns the tuple."""
        return None if value is None else _parsed(lambda text: tuple(json.loads(text)), value)


class Note(TypeDecorator[str]):
    """Text for people, such as a path; what SQLite cannot hold (half characters, NUL) stays as an escape."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Returns text that SQLite can hold."""
        if value is None:
            return None
        return value.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def _parsed(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except (TypeError, ValueError, RecursionError):
        raise DamagedError(f"The database is damaged: it holds {text[:40]!r}. Put back a backup.") from None
