"""Which experts a router is to choose among."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from registry import ConflictError, Expert, NotFoundError, Registry
from registry.errors import InvalidSettingError
from trainer import kinds


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a router is to choose among.

    Attributes:
        experts: in slot order.
        left_out: the newest experts of their tasks that are not among them, since they are retired.
    """

    experts: list[Expert]
    left_out: list[Expert]


def choose(registry: Registry, names: Sequence[str] | None) -> Choice:
    """Of each task the newest expert that is not retired; or those named, retired or not.

    Raises:
        NotFoundError: no expert yet, or an unknown one, or all are retired.
        ConflictError: experts of different base models, or two versions of one task.
    """
    if names is None:
        choice = _wanted(registry)
    else:
        choice = Choice(experts=[registry.expert(name) for name in names], left_out=[])
    found = choice.experts
    twice = [task for task, count in Counter(expert.task for expert in found).items() if count > 1]
    if twice:
        raise ConflictError(f"{twice[0]} is named more than once: a router takes one version of each task")
    bases = {expert.base_model for expert in found}
    if len(bases) > 1:
        raise ConflictError(
            f"one router needs experts of one base model, these differ: {_bases(registry, found)}; "
            "name some with --expert"
        )
    return choice


def choose_several(registry: Registry, names: Sequence[str]) -> list[Expert]:
    """Experts that are to mix: those named.

    Raises:
        NotFoundError: an unknown one.
        InvalidSettingError: fewer than two.
        ConflictError: experts of different base models, or two versions of one task.
    """
    if len(names) < 2:
        raise InvalidSettingError(
            f"a mixture needs two experts or more, given {', '.join(names) or 'none'}: name more of them"
        )
    return choose(registry, names).experts


def choose_parents(registry: Registry, task: str, names: Sequence[str] | None) -> list[Expert]:
    """What a new expert of a task may be combined from: of each other task the newest expert that is not
    retired, or those named.

    Raises:
        NotFoundError: no expert yet, or an unknown one, or all are retired.
        ConflictError: experts of different base models.
    """
    if not any(expert.task != task for expert in registry.experts()):
        raise NotFoundError(
            "there is no expert to combine yet: add some with `registry add-task --data FILE`"
        )
    if names is None:
        found = [expert for expert in _wanted(registry).experts if expert.task != task]
    else:
        found = list({one.name: one for one in map(registry.expert, names)}.values())
    if len({expert.base_model for expert in found}) > 1:
        raise ConflictError(
            f"an expert is combined from others on one base model, these differ: {_bases(registry, found)}; "
            "name some with --expert"
        )
    return found


def _bases(registry: Registry, found: Sequence[Expert]) -> str:
    return ", ".join(f"{expert.name} on {registry.base_model(expert.base_model).name}" for expert in found)


def _wanted(registry: Registry) -> Choice:
    newest = registry.experts()
    if not newest:
        raise NotFoundError(
            "there is no expert to route to yet: add one with `registry add-task --data FILE`"
        )
    retired = registry.retirements.now()
    left_out = [expert for expert in newest if retired.of(expert.name) is not None]
    chosen = {expert.task: expert for expert in newest if expert not in left_out}
    for expert in left_out:
        versions = registry.experts(expert.task, all_versions=True)
        wanted = [one for one in versions if retired.of(one.name) is None]
        if wanted:
            chosen[expert.task] = wanted[-1]
    if not chosen:
        raise NotFoundError(
            "every expert is retired: take one back with `registry retire NAME --undo`, or name some with "
            "--expert"
        )
    return Choice(experts=[chosen[task] for task in sorted(chosen)], left_out=left_out)


def combinable(parents: Sequence[Expert], *, named: bool) -> list[Expert]:
    """Of experts that may be combined those whose updates add up to one that tensor trains can say.

    Raises:
        InvalidSettingError: one that was named is not among them, or none is.
    """
    form = kinds.load("adapters", "tt_lora").FORM
    found = [one for one in parents if kinds.load("adapters", one.adapter).FORM == form]
    if len(found) == len(parents) or (found and not named):
        return found
    other = next(one for one in parents if one not in found)
    raise InvalidSettingError(
        f"{other.name} is of the kind {other.adapter}, whose updates cannot be added to others: "
        "name experts of tt_lora or lora with --expert"
    )
