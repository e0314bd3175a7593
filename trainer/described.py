"""Dataclasses as JSON objects and back: how the description of an expert or a router is stored with it."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any, TypeVar

from registry.errors import DamagedError

Description = TypeVar("Description")


def to_json(description: Any) -> dict[str, Any]:
    """The fields of a dataclass; tuples become lists.

    A field that came later is marked `unsaid`: at its default it is left out, so that what was described
    before has the same description still.
    """
    later = {
        one.name: one.default if one.default_factory is MISSING else one.default_factory()
        for one in fields(description)
        if one.metadata.get("unsaid")
    }
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(description).items()
        if name not in later or value != later[name]
    }


def from_json(kind: type[Description], values: Mapping[str, Any]) -> Description:
    """The dataclass whose `to_json` gave `values`: its sequences are tuples.

    Raises:
        DamagedError: `values` is no object, or has other fields.
    """
    try:
        return kind(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        )
    except (AttributeError, TypeError) as error:
        raise DamagedError(f"What is stored is no {kind.__name__} ({error}). Put back a backup.") from None
