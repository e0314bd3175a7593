"""What things are called by the names that move."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry import Alias


def names_of(aliases: Iterable["Alias"]) -> dict[str, list[str]]:
    """The aliases that stand for each target."""
    found: dict[str, list[str]] = {}
    for alias in aliases:
        found.setdefault(alias.target, []).append(alias.ref)
    return found
