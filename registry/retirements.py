"""`Registry.retirements`: which tasks and experts nobody wants in the next generation any more.

Nothing is deleted and nothing that is frozen changes: retiring is an event, taking it back is another, and
the latest one about a task or an expert holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select

from registry import experts, schema, tasks
from registry.aliases import user
from registry.database import Database
from registry.errors import ConflictError
from registry.names import ROUTER, parse

_table = schema.retirements


@dataclass(frozen=True, kw_only=True, slots=True)
class Retirement:
    """One event: something was retired, or that was taken back."""

    subject: str
    """A task (`sst2`), with all its experts, or one version of its expert (`sst2@3`)."""
    retired: bool
    """False where it was taken back."""
    reason: str
    actor: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Retired:
    """All that is retired at one moment.

    Attributes:
        by_name: the event that holds, of each task and each expert that was retired by its own name.
    """

    by_name: Mapping[str, Retirement]

    def of(self, name: str) -> Retirement | None:
        """By which event a task or an expert is retired: its own, else that of its task."""
        return self.by_name.get(name) or self.by_name.get(name.partition("@")[0])


class Retirements:
    """What is retired in one home. Names: a task (`sst2`), or an expert (`sst2@3`, `sst2@stable`)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def now(self) -> Retired:
        """All that is retired."""
        return self._database.read(standing)

    def of(self, ref: str) -> Retirement | None:
        """By which event a task or an expert is retired; None when it is not.

        Raises:
            NotFoundError: There is no such task or expert.
        """
        return self._database.read(_of, ref)

    def retire(self, ref: str, *, reason: str = "", actor: str | None = None) -> Retirement:
        """Keeps a task or an expert out of generations to come; what is retired already stays as it is.

        Args:
            actor: Who; by default the user that this process runs as.

        Raises:
            NotFoundError: There is no such task or expert.
        """
        return self._database.write(_turn, ref, True, reason, actor)

    def undo(self, ref: str, *, reason: str = "", actor: str | None = None) -> Retirement | None:
        """Takes the retirement of a task or an expert back; None when it was not retired.

        Raises:
            NotFoundError: There is no such task or expert.
            ConflictError: It is not the expert that is retired, but its task.
        """
        return self._database.write(_undo, ref, reason, actor)

    def history(self, ref: str) -> list[Retirement]:
        """Every event about a task, or about an expert itself, newest first."""
        return self._database.read(_history, ref)


def standing(connection: Connection) -> Retired:
    """All that is retired."""
    latest = select(func.max(_table.c.id)).group_by(_table.c.task, _table.c.version)
    rows = connection.execute(select(_table).where(_table.c.id.in_(latest), _table.c.retired == 1))
    return Retired({event.subject: event for event in map(_record, rows)})


def _of(connection: Connection, ref: str) -> Retirement | None:
    task, version = _named(connection, ref)
    return standing(connection).of(_name(task, version))


def _undo(connection: Connection, ref: str, reason: str, actor: str | None) -> Retirement | None:
    task, version = _named(connection, ref)
    retired = standing(connection)
    name = _name(task, version)
    if name in retired.by_name:
        return _turn(connection, ref, False, reason, actor)
    if retired.of(name) is not None:
        raise ConflictError(f"{name} is retired with its task. Take that back: registry retire {task} --undo")
    return None


def _turn(connection: Connection, ref: str, retired: bool, reason: str, actor: str | None) -> Retirement:
    task, version = _named(connection, ref)
    latest = next(iter(_events(connection, task, version)), None)
    if latest is not None and latest.retired == retired:
        return latest
    connection.execute(
        insert(_table).values(
            task=task,
            version=version,
            retired=int(retired),
            reason=reason,
            actor=actor or user(),
            created_at=datetime.now(UTC),
        )
    )
    return _events(connection, task, version)[0]


def _history(connection: Connection, ref: str) -> list[Retirement]:
    return _events(connection, *_named(connection, ref))


def _events(connection: Connection, task: str, version: int | None) -> list[Retirement]:
    about: Select[Any] = select(_table).where(_table.c.task == task, _table.c.version.is_(version))
    return [_record(row) for row in connection.execute(about.order_by(_table.c.id.desc()))]


def _named(connection: Connection, ref: str) -> tuple[str, int | None]:
    """The task, and the version if one expert is named."""
    reference = parse(ref)
    if reference.version is None and reference.alias is None and reference.subject != ROUTER:
        return tasks.get(connection, reference.subject).name, None
    expert = experts.resolve(connection, reference)
    return expert.task, expert.version


def _name(task: str, version: int | None) -> str:
    return task if version is None else f"{task}@{version}"


def _record(row: Row[Any]) -> Retirement:
    return Retirement(
        subject=_name(row.task, row.version),
        retired=bool(row.retired),
        reason=row.reason,
        actor=row.actor,
        created_at=row.created_at,
    )
