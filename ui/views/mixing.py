"""Experts that can mix, and a corpus before they learn from it: how it was read, and what it would teach."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import RegistryError
from ui.views import adding

if TYPE_CHECKING:
    from registry import Expert, Registry

ROLES = ("text", "text_pair", "label")


def bases(registry: "Registry") -> dict[str, list[str]]:
    """By the fingerprint of each base model the experts that can mix there, the base model with most of them
    first: of each task the newest that is not retired, and not a head alone."""
    retired = registry.retirements.now()
    found: dict[str, list[str]] = {}
    for expert in registry.experts():
        if _mixes(expert) and retired.of(expert.name) is None:
            found.setdefault(expert.base_model, []).append(expert.name)
    return dict(sorted(found.items(), key=lambda one: -len(one[1])))


def _mixes(expert: "Expert") -> bool:
    """Whether it changes layers, and its head reads none on the way."""
    architecture = expert.config.get("architecture", {})
    return bool(architecture.get("targets")) and not architecture.get("head_layers")


def called(registry: "Registry", fingerprint: str) -> str:
    """A base model for people: two may have one name."""
    return f"{registry.base_model(fingerprint).name} ({fingerprint[:8]})"


def look(
    registry: "Registry", path: str | Path, experts: Sequence[str], **columns: str | None
) -> dict[str, Any]:
    """A corpus as these experts would learn from it; why it is refused is part of the answer."""
    from trainer.corpora import read_corpus
    from trainer.data.preview import by_name
    from trainer.selection import choose_several

    found: dict[str, Any] = {
        "source": Path(path).name,
        "refusal": None,
        "rows": {},
        "columns": {},
        "teaches": None,
        "findings": [],
    }
    try:
        chosen = choose_several(registry, experts)
        rows = read_corpus(path, chosen, **columns)
    except RegistryError as error:
        return {**found, "refusal": by_name(str(error), path)}
    return {
        **found,
        "rows": rows.counts(),
        "columns": dict(rows.columns),
        "teaches": _teaches(rows.columns),
        "findings": list(rows.findings),
    }


def _teaches(columns: Mapping[str, str]) -> str:
    """What is learnt of each row."""
    if "label" in columns:
        return "its label, under the head of its task's expert"
    if "target" in columns:
        return "its target, written after the text"
    return "every token of its text"


def report(shown: Mapping[str, Any]) -> str:
    """What was understood, in sentences, a line each."""
    if shown["refusal"] is not None:
        return f"Not taken. {shown['refusal']}."
    rows = shown["rows"]
    said = [
        f"{sum(rows.values()):,} rows can be taken: {rows['train']:,} to train, {rows['validation']:,} to"
        f" choose the best epoch, {rows['test']:,} to test.",
        f"Learnt of each row: {shown['teaches']}.",
        *adding.noticed(shown["findings"]),
    ]
    return "\n".join(said)


def comes_of_it(experts: Sequence[str], *, frozen: bool) -> str:
    """What a mixture will make, in a sentence."""
    names = ", ".join(experts)
    if frozen:
        return f"The next generation, a candidate: {names} stay as they are, and a gate weighs them."
    return (
        f"The next generation, a candidate, and the next version of each of {names}; the versions that there "
        "are stay."
    )
