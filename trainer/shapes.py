"""The shape of adapters: the settings of one kind, from what a person chose and the kind's defaults."""

from collections.abc import Iterable, Mapping
from dataclasses import Field, fields, replace
from typing import Any, get_type_hints

from registry.errors import InvalidSettingError, nearest
from trainer import kinds

OWN = ("rank", "alpha")
"""Fields of every kind that are settings by themselves."""


def config_from(
    adapter: str,
    *,
    rank: int | None,
    alpha: float | None,
    preset: str,
    options: Mapping[str, Any] | None = None,
    sizes: Iterable[tuple[int, int]] | None = None,
) -> Any:
    """The `Config` of an adapter kind.

    Args:
        options: fields of the kind's `Config` other than rank and alpha, as their own values or as text.
        sizes: of the linear layers that it is for, `(inputs, outputs)`, where they are known.

    Raises:
        NotFoundError: unknown adapter kind or preset.
        InvalidSettingError: an option that the kind does not have, or a value that it does not take.
    """
    family = kinds.load("adapters", adapter)
    config = family.configure(rank=rank, alpha=alpha, preset=preset)
    known = {field.name: field for field in fields(config) if field.name not in OWN}
    hints = get_type_hints(family.Config)
    chosen = {}
    for name, value in (options or {}).items():
        if name not in known:
            raise InvalidSettingError(
                f"{adapter} has no option {name!r}; "
                f"it has {', '.join(known) or 'none'}.{nearest(name, known)}"
            )
        chosen[name] = _read(known[name], hints[name], value, None if sizes is None else {*sizes})
    return replace(config, **chosen)


def _read(field: "Field[Any]", wanted: type, value: Any, sizes: set[tuple[int, int]] | None) -> Any:
    if "read" in field.metadata:
        return field.metadata["read"](value, sizes)
    found = _typed(wanted, value)
    if found is None:
        said = {bool: "true or false", int: "a whole number", float: "a number"}.get(wanted, wanted.__name__)
        raise InvalidSettingError(f"option {field.name}={value} must be {said}")
    return found


def _typed(wanted: type, value: Any) -> Any:
    """The value as the type wanted; None if it is not of it."""
    if wanted is bool:
        return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())
    if wanted is str:
        return value if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = wanted(value)
    except (ValueError, OverflowError):
        return None
    return found if isinstance(value, str) or found == value else None
