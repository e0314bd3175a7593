"""The registry of experts, router generations and their lineage.

>>> from registry import Registry
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from registry.errors import ConflictError, DamagedError, NotFoundError, RegistryError
from registry.records import Alias, BaseModel, Dataset, Evaluation, Expert, Generation, Job, Problem, Task

if TYPE_CHECKING:
    from registry.backups import back_up, restore
    from registry.fsck import examine
    from registry.garbage import collect
    from registry.lineage import Lineage
    from registry.store import Registry

__all__ = [
    "Alias",
    "BaseModel",
    "ConflictError",
    "DamagedError",
    "Dataset",
    "Evaluation",
    "Expert",
    "Generation",
    "Job",
    "Lineage",
    "NotFoundError",
    "Problem",
    "Registry",
    "RegistryError",
    "Task",
    "back_up",
    "collect",
    "examine",
    "restore",
]

# Loaded when first asked for: the database library takes longer than all of `registry --help`.
_LATER = {
    "Lineage": "registry.lineage",
    "Registry": "registry.store",
    "back_up": "registry.backups",
    "collect": "registry.garbage",
    "examine": "registry.fsck",
    "restore": "registry.backups",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
