"""Which experts a router is to choose among."""

from collections import Counter
from collections.abc import Sequence

from registry import ConflictError, Expert, NotFoundError, Registry


def choose(registry: Registry, names: Sequence[str] | None) -> list[Expert]:
    """The newest expert of each task, or those named.

    Raises:
        NotFoundError: no expert yet, or an unknown one.
        ConflictError: experts of different base models, or two versions of one task.
    """
    found = registry.experts() if names is None else [registry.expert(name) for name in names]
    if not found:
        raise NotFoundError(
            "there is no expert to route to yet: add one with `registry add-task --data FILE`"
        )
    twice = [task for task, count in Counter(expert.task for expert in found).items() if count > 1]
    if twice:
        raise ConflictError(f"{twice[0]} is named more than once: a router takes one version of each task")
    bases = {expert.base_model for expert in found}
    if len(bases) > 1:
        each = ", ".join(
            f"{expert.name} on {registry.base_model(expert.base_model).name}" for expert in found
        )
        raise ConflictError(
            f"one router needs experts of one base model, these differ: {each}; name some with --expert"
        )
    return found
