"""Which frozen base models the experts stand on."""

from dataclasses import asdict

from sqlalchemy import Connection, insert, select

from registry import schema
from registry.errors import not_found
from registry.records import BaseModel

_table = schema.base_models


def every(connection: Connection) -> list[BaseModel]:
    """All base models, oldest first."""
    wanted = select(_table).order_by(_table.c.created_at, _table.c.fingerprint)
    return [BaseModel(**row._mapping) for row in connection.execute(wanted)]


def get(connection: Connection, fingerprint: str) -> BaseModel:
    """The base model of that fingerprint."""
    row = connection.execute(select(_table).where(_table.c.fingerprint == fingerprint)).one_or_none()
    if row is None:
        raise not_found("base model", fingerprint, otherwise="Add it before what is trained on it.")
    return BaseModel(**row._mapping)


def add(connection: Connection, model: BaseModel) -> BaseModel:
    """Puts a base model on record, or returns the one on record with its fingerprint."""
    row = connection.execute(select(_table).where(_table.c.fingerprint == model.fingerprint)).one_or_none()
    if row is None:
        connection.execute(insert(_table).values(**asdict(model)))
    return get(connection, model.fingerprint)
