"""Several files of rows before they become tasks: what was found in each, and what all will take."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import InvalidSettingError
from ui import present
from ui.views import adding

if TYPE_CHECKING:
    from registry import Registry
    from trainer.data import TaskData
    from trainer.settings import ExpertSettings


def report(shown: Sequence[Mapping[str, Any]]) -> str:
    """What was understood of each file, under its name; `shown`: of each what `adding.document` gives."""
    parts = [
        "\n".join([f"{present.plain(one['source'])}:", *(f"  {line}" for line in adding.report(one))])
        for one in shown
    ]
    return "\n\n".join(parts)


def columns(shown: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns that any of the files has, each once."""
    return list(dict.fromkeys(column for one in shown for column in one["columns"]))


def naming(registry: "Registry", files: Sequence[str]) -> str:
    """What the name of each file leads to, a line each.

    Raises:
        InvalidSettingError: a task cannot be called that, or two files are of one name.
    """
    from trainer.data import task_name

    names = [task_name(file) for file in files]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise InvalidSettingError(
                f"two files are for the task {name!r}: rename one, or add them one after the other"
            )
    return "\n".join(adding.naming(registry, name) for name in names)


def costs(
    registry: "Registry",
    data: Mapping[str, "TaskData"],
    base_model: str | None,
    settings: "ExpertSettings",
) -> str:
    """What each training will take, a line each, and all together; `data`: rows by name of the task."""
    found = {task: adding.cost(registry, rows, base_model, settings) for task, rows in data.items()}
    together = present.duration(sum(one["seconds"] for one in found.values()))
    lines = [f"{task}: {adding.cost_in_words(cost)}" for task, cost in found.items()]
    return "\n".join([*lines, f"All {len(found)}, one after the other: at most about {together}."])
