"""The cache of hidden states: which blob holds what, and nothing that could not be computed again."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert

from registry import schema
from registry.blobs import Blobs

_table = schema.features


def sha256(connection: Connection, key: str) -> str | None:
    """The blob cached under `key`, if there is one."""
    found: str | None = connection.scalar(select(_table.c.sha256).where(_table.c.key == key))
    return found


def add(
    connection: Connection, key: str, about: dict[str, Any], blobs: Blobs, sha256: str, content: bytes
) -> None:
    """Caches a blob, stored before, under `key`, in place of what was there."""
    blobs.ensure(sha256, content)
    values = {"sha256": sha256, "bytes": len(content), "about": about, "created_at": datetime.now(UTC)}
    connection.execute(insert(_table).values(key=key, **values).on_conflict_do_update(set_=values))


def remove(connection: Connection, key: str, sha256: str) -> None:
    """Forgets that blob under `key`; what another process has put there since stays."""
    connection.execute(delete(_table).where(_table.c.key == key, _table.c.sha256 == sha256))
