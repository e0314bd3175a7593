"""Which rows an expert or a generation is measured on."""

from typing import TypeGuard

from registry import Expert
from registry.errors import InvalidSettingError, nearest
from registry.names import ROUTER, parse
from trainer import kinds
from trainer.data import Given, TaskData, read_task, refusal

HELD_OUT = ("validation", "test")
"""The splits that no training sees."""


def check_split(split: str) -> None:
    """Raises InvalidSettingError unless `split` was kept from training."""
    if split not in HELD_OUT:
        raise InvalidSettingError(f"split {split!r} is not held out: choose validation or test")


def measures_expert(ref: str | None, data: object) -> TypeGuard[str]:
    """Whether `ref` names an expert and not a generation; `data` are rows to measure it on, if not its own.

    Raises:
        InvalidSettingError: there are rows, and no expert to measure on them.
    """
    if ref is not None and parse(ref).subject != ROUTER:
        return True
    if data is not None:
        raise InvalidSettingError(
            "rows from a file measure one expert: name it, such as `evaluate sst2 --data FILE`"
        )
    return False


def read_trial(rows: Given, expert: Expert) -> TaskData:
    """Labelled rows of an expert's task from a file or dataset; all of them count, whatever split it names.

    Raises:
        NotFoundError: no such file.
        DataRefusedError: the rows cannot be taken, or hold labels that the expert does not know.
    """
    kind = kinds.load("tasks", expert.kind)
    data = read_task(rows, {expert.kind: kind})
    for row in data.rows:
        for label in kind.labels_of(row):
            if label not in expert.labels:
                known = f"{', '.join(expert.labels)}.{nearest(label, expert.labels)}"
                reason = f"label {label!r} is none of {expert.name}'s: {known}"
                raise refusal(row.source, row.line, reason)
    return data
