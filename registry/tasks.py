"""Tasks and the versions of their rows."""

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, select

from registry import pairs, schema
from registry.blobs import Blobs
from registry.errors import ConflictError, NotFoundError, not_found
from registry.names import check_task
from registry.records import Dataset, NewDataset, Task

_tasks = schema.tasks
_datasets = schema.datasets


def every(connection: Connection) -> list[Task]:
    """All tasks by name."""
    return [Task(**row._mapping) for row in connection.execute(select(_tasks).order_by(_tasks.c.name))]


def get(connection: Connection, name: str) -> Task:
    """The task of that name; NotFoundError suggests another."""
    row = connection.execute(select(_tasks).where(_tasks.c.name == name)).one_or_none()
    if row is None:
        known = list(connection.scalars(select(_tasks.c.name)))
        raise not_found("task", name, known, otherwise="`registry tasks` lists them.")
    return Task(**row._mapping)


def datasets(connection: Connection, task: str) -> list[Dataset]:
    """All versions of a task's rows, oldest first."""
    get(connection, task)
    wanted = select(_datasets).where(_datasets.c.task == task).order_by(_datasets.c.version)
    return [Dataset(**row._mapping) for row in connection.execute(wanted)]


def dataset(connection: Connection, task: str, version: int | None = None) -> Dataset:
    """One version of a task's rows, by default the newest."""
    get(connection, task)
    wanted = select(_datasets).where(_datasets.c.task == task).order_by(_datasets.c.version.desc()).limit(1)
    if version is not None:
        wanted = wanted.where(_datasets.c.version == version)
    row = connection.execute(wanted).one_or_none()
    if row is None:
        newest = _newest(connection, task)
        raise NotFoundError(
            f"There is no dataset '{task}/data@{version}': {task} has versions 1 to {newest}."
        )
    return Dataset(**row._mapping)


def digests(connection: Connection, versions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """`{(task, version): digest}` of many datasets; those that there are not are left out."""
    wanted = pairs.table(versions)
    rows = connection.execute(
        select(_datasets.c.task, _datasets.c.version, _datasets.c.sha256).join(
            wanted, (_datasets.c.task == wanted.c.task) & (_datasets.c.version == wanted.c.number)
        )
    )
    return {(row.task, row.version): row.sha256 for row in rows}


def add_dataset(
    connection: Connection, facts: NewDataset, blobs: Blobs, sha256: str, content: bytes
) -> Dataset:
    """The next version of a task's rows, or the version that has these very rows; makes a new task.

    The blob is stored before."""
    blobs.ensure(sha256, content)
    task, kind, now = facts["task"], facts["kind"], datetime.now(UTC)
    known = connection.execute(select(_tasks.c.kind).where(_tasks.c.name == task)).scalar()
    if known is None:
        connection.execute(insert(_tasks).values(name=check_task(task), kind=kind, created_at=now))
    elif known != kind:
        raise ConflictError(f"Task {task!r} is of kind {known}, these rows are {kind}. Choose another name.")
    same = (_datasets.c.task == task) & (_datasets.c.sha256 == sha256)
    version = connection.execute(select(_datasets.c.version).where(same)).scalar()
    if version is None:
        version = _newest(connection, task) + 1
        about = {name: value for name, value in facts.items() if name != "kind"}
        connection.execute(insert(_datasets).values(version=version, sha256=sha256, created_at=now, **about))
    return dataset(connection, task, version)


def _newest(connection: Connection, task: str) -> int:
    newest: int | None = connection.scalar(
        select(func.max(_datasets.c.version)).where(_datasets.c.task == task)
    )
    return newest or 0
