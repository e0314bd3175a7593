"""Finds the kinds of each family: a kind is one module, and the module's name is the kind's name.

Modules of `trainer.adapters`, `trainer.routers` and so on are found by their file names; other distributions
add theirs through the entry-point groups `expert_registry.adapters`, `expert_registry.routers` and so on.
Nothing is imported until it is asked for.
"""

import importlib
import pkgutil
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from types import ModuleType

from registry.errors import NotFoundError, nearest

_loaded: dict[tuple[str, str], ModuleType] = {}

FAMILIES = ("adapters", "executors", "familiarity", "forms", "gates", "jobs", "routers", "tasks")


def names(family: str) -> list[str]:
    """The sorted kind names of a family, one of FAMILIES."""
    return sorted(_own(family) | {entry.name for entry in entry_points(group=f"expert_registry.{family}")})


def check(family: str, name: str) -> None:
    """Raises NotFoundError if there is no kind of that name; the message lists the kinds and the nearest."""
    known = names(family)
    if name not in known:
        raise NotFoundError(
            f"unknown {family.removesuffix('s')} kind {name!r}; known: {', '.join(known)}."
            f"{nearest(name, known)}"
        )


def load(family: str, name: str) -> ModuleType:
    """The module of one kind. What this project calls by a name, no other distribution can replace.

    Raises:
        NotFoundError: no kind of that name.
    """
    known = _loaded.get((family, name))
    # Looking through everything that is installed takes milliseconds, and experts are read in one.
    if known is not None and sys.modules.get(known.__name__) is known:
        return known
    check(family, name)
    if name in _own(family):
        module = importlib.import_module(f"trainer.{family}.{name}")
    else:
        [entry, *_] = entry_points(group=f"expert_registry.{family}", name=name)
        module = entry.load()
    _loaded[family, name] = module
    return module


def load_all(family: str) -> dict[str, ModuleType]:
    """Every kind of a family, by name."""
    return {name: load(family, name) for name in names(family)}


def _own(family: str) -> set[str]:
    # Not imported: some families need torch, and the names are wanted where nothing is computed.
    package = find_spec(f"trainer.{family}")
    folders = None if package is None else package.submodule_search_locations
    return {module.name for module in pkgutil.iter_modules(folders or [])}
