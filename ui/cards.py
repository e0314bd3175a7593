"""Everything about one thing of the registry as plain JSON values: the ground of `show` and `diff`."""

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from registry import combinations, measured
from registry.errors import NotFoundError
from ui import gates, present
from ui.views.retirements import document

if TYPE_CHECKING:
    from registry import Registry
    from registry.records import Expert, Generation

# What tells two things apart by their very nature: no difference that `diff` should report.
IDENTITY = (
    "is",
    "name",
    "version",
    "number",
    "created_at",
    "seconds",
    "run",
    "started_at",
    "finished_at",
    "gate",
    "retired",
)


def card(registry: "Registry", reference: str) -> dict[str, Any]:
    """The card of a task, of an expert version or of a router generation.

    A name alone is a task, or else an alias of the router; `sst2@3` and `sst2@stable` are experts, and
    `router@2` is a generation.

    Raises:
        NotFoundError: nothing has that name.
    """
    subject, at, _ = reference.partition("@")
    if subject == "router":
        return _generation(registry, registry.generation(reference))
    if at:
        return _expert(registry, registry.expert(reference))
    try:
        return _task(registry, reference)
    except NotFoundError:
        with suppress(NotFoundError):
            return _generation(registry, registry.generation(f"router@{reference}"))
        raise


def _task(registry: "Registry", name: str) -> dict[str, Any]:
    task = registry.task(name)
    dataset = registry.dataset(name)
    experts = registry.experts(name, all_versions=True)
    return {
        "is": "task",
        "name": task.name,
        "kind": task.kind,
        "labels": list(dataset.labels),
        "dataset": dataset.name,
        "rows": present.rows(dataset.rows),
        "columns": dataset.columns,
        "source": dataset.source,
        "findings": list(dataset.findings),
        "datasets": [one.name for one in registry.datasets(name)],
        "experts": [one.name for one in experts],
        "retired": document(registry.retirements.now(), name),
        "created_at": task.created_at,
    }


def _expert(registry: "Registry", expert: "Expert") -> dict[str, Any]:
    dataset = registry.dataset(expert.task, version=expert.dataset)
    return {
        "is": "expert",
        "name": expert.name,
        "task": expert.task,
        "version": expert.version,
        "kind": expert.kind,
        "adapter": expert.adapter,
        "labels": list(expert.labels),
        "dataset": dataset.name,
        "rows": present.rows(dataset.rows),
        "base_model": registry.base_model(expert.base_model).name,
        "parent": None if expert.parent is None else f"{expert.task}@{expert.parent}",
        "combined_from": combinations.parts_of(registry, expert),
        "parameters": expert.parameters,
        "bytes": expert.bytes,
        "retired": document(registry.retirements.now(), expert.name),
        "sha256": expert.sha256,
        "metrics": present.metrics(registry.evaluations(expert.name)),
        "config": expert.config,
        **_run(registry, expert.run),
        "created_at": expert.created_at,
    }


def _generation(registry: "Registry", generation: "Generation") -> dict[str, Any]:
    aliases = [alias.ref for alias in registry.aliases() if alias.target == generation.name]
    return {
        "is": "generation",
        "name": generation.name,
        "number": generation.number,
        "router": generation.router,
        "experts": list(generation.experts),
        "base_model": registry.base_model(generation.base_model).name,
        "parent": None if generation.parent is None else f"router@{generation.parent}",
        "aliases": aliases,
        "parameters": generation.parameters,
        "sha256": generation.sha256,
        "root": generation.root,
        "metrics": measured.together(registry, [generation.number])[generation.number],
        "gate": measured.gate(registry, generation.name),
        "config": generation.config,
        **_run(registry, generation.run),
        "created_at": generation.created_at,
    }


def _run(registry: "Registry", number: int) -> dict[str, Any]:
    run = registry.run(number)
    return {
        "settings": run.settings,
        "seed": run.seed,
        "versions": run.versions,
        "seconds": run.seconds,
    }


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a", "b", "differences": {path: [value of a, value of b]}}`, nested values by dotted path."""
    first, second = _flat(a), _flat(b)
    paths = [path for path in (first | second) if path.split(".")[0] not in IDENTITY]
    return {
        "a": a["name"],
        "b": b["name"],
        "differences": {
            path: [first.get(path), second.get(path)] for path in paths if first.get(path) != second.get(path)
        },
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def echo(values: Mapping[str, Any]) -> None:
    """A card as text: one line a field, nested fields by dotted path."""
    click.echo(present.plain(f"{values['name']} ({values['is']})"))
    plain = {name: value for name, value in values.items() if name not in ("name", "is", "gate")}
    present.echo_fields({path: present.value(value) for path, value in _flat(plain).items()})
    if values.get("gate") is not None:
        gates.echo(values["gate"])
