"""A file of rows before it becomes a task: how it was read, what it would give, what it will cost."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from registry.errors import ConflictError, DataRefusedError, InvalidSettingError, NotFoundError
from ui import present

if TYPE_CHECKING:
    from registry import Registry
    from trainer.data import Preview, TaskData
    from trainer.settings import ExpertSettings

ROLES = ("text", "text_pair", "label")
LONGEST_CELL = 200
"""Characters of a cell that a preview shows."""


def base_models(registry: "Registry") -> list[str]:
    """What an expert can be trained on: what is on record, the newest first, then what is built in."""
    from trainer.sources import BUILT_INS, DEFAULT

    known = [base.spec for base in reversed(registry.base_models())]
    return list(dict.fromkeys([*known, DEFAULT, *sorted(BUILT_INS)]))


def look(path: str | Path, kind: str | None = None, *, few: bool = False, **given: str | None) -> "Preview":
    """A file as the reader takes it.

    Args:
        few: whether experts are to be combined by its rows, which takes few of them.
        given: columns, and files of validation and test rows, as of `trainer.add_task`.
    """
    from trainer import kinds
    from trainer.data import preview
    from trainer.few_rows import check_few

    found = preview(path, kinds.load_all("tasks"), kind=kind, **given)
    if few and found.data is not None:
        try:
            check_few(found.data)
        except (DataRefusedError, InvalidSettingError) as error:
            return replace(found, refusal=str(error).replace(str(path), Path(path).name))
    return found


def document(preview: "Preview") -> dict[str, Any]:
    """A preview as a page shows it."""
    columns = [] if preview.table is None else list(preview.table.columns)
    found: dict[str, Any] = {
        "source": preview.source,
        "format": _format(preview),
        "columns": columns,
        "head": [[line, *map(_shortened, cells)] for line, cells in preview.head],
        "refusal": preview.refusal,
        "findings": list(preview.findings),
        "kind": None,
        "roles": {},
        "labels": {},
        "rows": {},
        "lengths": {},
    }
    if preview.data is not None:
        found |= _facts(preview.data)
    return found


def report(shown: Mapping[str, Any]) -> list[str]:
    """What was understood, in sentences."""
    if shown["refusal"] is not None:
        # What the reader advises, where a page has the choice in place of the option.
        reason = re.sub(r"say which with --[\w-]+( and --[\w-]+)?", "choose above", shown["refusal"])
        return [f"Not taken. {reason}.", *noticed(shown["findings"])]
    rows, labels, lengths = shown["rows"], shown["labels"], shown["lengths"]
    said = [
        f"{sum(rows.values()):,} rows can be taken: {rows['train']:,} to train, {rows['validation']:,} to"
        f" choose the best epoch, {rows['test']:,} to test.",
        f"A task of the kind {shown['kind']}.",
        f"Texts have {lengths['middle']:,} characters in the middle, {lengths['longest']:,} at most.",
    ]
    if labels:
        listed = ", ".join(f"{present.plain(name)} ({count:,})" for name, count in list(labels.items())[:12])
        more = f" and {len(labels) - 12:,} more" if len(labels) > 12 else ""
        said.append(f"{len(labels):,} labels: {listed}{more}.")
    return said + noticed(shown["findings"])


def headers(shown: Mapping[str, Any]) -> list[str]:
    """The head of the preview's table: each column with the role it plays."""
    roles = {column: role.replace("_", " ") for role, column in shown["roles"].items()}
    otherwise = "not used" if roles else "column"
    return ["line", *(f"{column} ({roles.get(column, otherwise)})" for column in shown["columns"])]


def cost(
    registry: "Registry", data: "TaskData", base_model: str | None, settings: "ExpertSettings"
) -> dict[str, Any]:
    """What the training will take, as a document."""
    from trainer.estimates import estimate

    return asdict(estimate(registry, data, base_model, settings))


def cost_in_words(cost: Mapping[str, Any]) -> str:
    """What the training will take, as sentences."""
    if cost["parameters"] is None:
        size = "How many parameters it has is known once the base model is on this machine."
    elif cost["like"] is None:
        size = f"{cost['parameters']:,} parameters, counted from the layers of the base model."
    else:
        size = f"About {cost['parameters']:,} parameters, like {cost['like']}."
    return (
        f"{size} At most {cost['epochs']} epoch{'s' * (cost['epochs'] != 1)} of {cost['rows']:,} rows, about"
        f" {present.duration(cost['seconds'])} at {cost['per_second']:.0f} rows a second ({_basis(cost)})."
    )


def combining_in_words(registry: "Registry", task: str, experts: Sequence[str] | None) -> str:
    """What combining experts into one for a task will do, as sentences; or why it cannot be done.

    Args:
        experts: those that may be combined; None: the newest of every other task.
    """
    from trainer.selection import choose_parents

    try:
        parents = choose_parents(registry, task, experts)
    except (NotFoundError, ConflictError) as error:
        return f"Not possible: {error}."
    names = ", ".join(parent.name for parent in parents[:12])
    more = f" and {len(parents) - 12:,} more" if len(parents) > 12 else ""
    return (
        f"No training: the base model alone is tried, then each expert, then up to three together; the "
        f"answers to your rows judge. It may combine {names}{more}."
    )


def _basis(cost: Mapping[str, Any]) -> str:
    """What a pace is told from."""
    if cost["measured_on"]:
        other = ", by the size of both base models" if cost["scaled"] else ""
        return f"measured on {', '.join(cost['measured_on'])}{other}"
    by_size = "; by its size" if cost["scaled"] else ""
    return f"a default, nothing is on record for this base model{by_size}"


def naming(registry: "Registry", name: str) -> str:
    """What a task's name leads to.

    Raises:
        InvalidSettingError: a task cannot be called that.
    """
    from registry.names import check_task

    versions = [one.version for one in registry.experts(all_versions=True) if one.task == check_task(name)]
    if not versions:
        return f"A new task; its first expert will be {name}@1."
    said = f"There is a task {name}: its next expert will be {name}@{max(versions) + 1}; older ones stay."
    if registry.retirements.of(name) is not None:
        said += " The task is retired: no router is fitted over it until that is taken back."
    return said


def told_by_name(error: Exception, *paths: str | None) -> str:
    """What an error says of uploaded files, under the names that people know."""
    from trainer.data.preview import by_name

    return f"the file {by_name(str(error), *paths)}"


def _facts(data: "TaskData") -> dict[str, Any]:
    from trainer import kinds

    lengths = [len(row.text) for row in data.rows]
    target = kinds.load("tasks", data.kind).TARGET
    labels = Counter(row.values[target] for row in data.rows) if data.labels else Counter[str]()
    return {
        "kind": data.kind,
        "roles": dict(data.columns),
        "labels": dict(labels.most_common()),
        "rows": data.counts(),
        "lengths": {"middle": round(median(lengths)), "longest": max(lengths)},
    }


def _format(preview: "Preview") -> str | None:
    """The file's format, in words."""
    if preview.table is None:
        return None
    separated = [one for one in preview.table.findings if one.startswith("cells are separated by")]
    name = Path(preview.source).suffix.lower()
    return f"text table, {separated[0]}" if separated else f"{name.removeprefix('.') or 'text'} table"


def noticed(findings: Sequence[str]) -> list[str]:
    """What was noticed in rows, a sentence each."""
    return [
        f"Noticed: {present.plain(finding)}{'' if finding.endswith('?') else '.'}" for finding in findings
    ]


def _shortened(cell: str) -> str:
    return cell if len(cell) <= LONGEST_CELL else cell[: LONGEST_CELL - 1] + "…"
