"""The experts in a table, and one of them on its card."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from registry import Expert, Registry, combinations, measured
from registry.errors import DamagedError
from registry.lineage import CHOOSES, COMBINED, FOLLOWS
from ui.views.aliases import names_of
from ui.views.intervals import measured as document
from ui.views.retirements import document as retirement


def list_experts(registry: Registry, *, text: str = "", all_versions: bool = False) -> list[dict[str, Any]]:
    """The newest expert of each task, or every version; those whose name, kind or alias holds `text`."""
    scores = measured.scores(registry, "test")
    names = names_of(registry.aliases())
    retired = registry.retirements.now()
    listed = [
        {
            **_line(expert, scores.get(expert.name, []), names.get(expert.name, [])),
            "retired": retirement(retired, expert.name),
        }
        for expert in registry.experts(all_versions=all_versions)
    ]
    wanted = text.strip().lower()
    return [one for one in listed if not wanted or wanted in _searched(one)]


def show_expert(registry: Registry, ref: str) -> dict[str, Any]:
    """Everything about one expert but its rows, for which there is `ui.views.rows`."""
    expert = registry.expert(ref)
    run = registry.run(expert.run)
    lineage = registry.lineage(expert.name)
    history = registry.evaluations(expert.name)
    aliases = [alias.ref for alias in registry.aliases() if alias.target == expert.name]
    newest: dict[str, Any] = {}
    for one in reversed(history):
        if one.split == "test":
            newest[one.metric] = one
    return {
        **_line(expert, list(newest.values()), aliases),
        "retired": retirement(registry.retirements.now(), expert.name),
        "labels": list(expert.labels),
        "dataset": f"{expert.task}/data@{expert.dataset}",
        "base_model": registry.base_model(expert.base_model).name,
        "parent": None if expert.parent is None else f"{expert.task}@{expert.parent}",
        "combined_from": combinations.parts_of(registry, expert),
        "config": expert.config,
        "settings": run.settings,
        "seed": run.seed,
        "seconds": run.seconds,
        "versions": run.versions,
        "curve": run.history,
        "evaluations": [
            {
                "at": stamp(one.created_at),
                "split": one.split,
                **document(one.metric, one.value, one.examples),
            }
            for one in history
        ],
        "earlier": [edge.target for edge in lineage.edges if edge.relation == FOLLOWS],
        "used_by": [
            edge.source
            for edge in lineage.edges
            if edge.target == expert.name and edge.relation in (COMBINED, CHOOSES)
        ],
        "lineage": lineage.to_tree(),
        "damage": damage(registry, expert),
    }


def damage(registry: Registry, expert: Expert) -> str | None:
    """What is wrong with an expert's file: its bytes are read and compared with the digest on record."""
    try:
        registry.blobs.get(expert.sha256)
    except DamagedError as error:
        return str(error)
    return None


def stamp(when: datetime) -> str:
    """A time in documents: UTC, to the second."""
    return when.strftime("%Y-%m-%d %H:%M:%S")


def shape(config: Mapping[str, Any]) -> str:
    """The shape of an adapter in a few words, from whatever numbers its kind has."""
    found = config.get("architecture", config)
    adapter = found.get("adapter_config", found)
    # The rank first, which is what people compare; lists show no more.
    words = [
        f"{name.replace('_', ' ')} {value:g}"
        for name, value in sorted(adapter.items(), key=lambda item: item[0] != "rank")
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if "first_layer" in found:
        words.append(f"from layer {found['first_layer']}")
    return ", ".join(words)


def _line(expert: Expert, scores: list[Any], aliases: list[str]) -> dict[str, Any]:
    first = next(iter(scores), None)
    return {
        "name": expert.name,
        "task": expert.task,
        "version": expert.version,
        "kind": expert.kind,
        "adapter": expert.adapter,
        "shape": shape(expert.config),
        "parameters": expert.parameters,
        "bytes": expert.bytes,
        "sha256": expert.sha256,
        "test": None if first is None else document(first.metric, first.value, first.examples),
        "aliases": aliases,
        "created_at": stamp(expert.created_at),
    }


def _searched(one: Mapping[str, Any]) -> str:
    return " ".join([one["name"], one["kind"], one["adapter"], one["sha256"], *one["aliases"]]).lower()
