"""Task kinds, one module each. The contract, held by `tests/trainer/tasks/test_contract.py`:

- `REQUIRED`, `OPTIONAL`, `TARGET`: the roles of its columns, and which of them is the answer; `METRIC`: the
  score that counts.
- `recognises(columns) -> bool`: whether a file with these column roles is of this kind.
- `check(rows) -> (labels, findings)`: the labels of a dataset and remarks for a person; refuses rows that
  cannot be trained on.
- `head(inputs, labels)`: an `nn.Module` from a pooled state `(batch, inputs)` to outputs; it is zero when
  untrained.
- `targets(rows, labels) -> Tensor`, `loss(outputs, targets) -> Tensor`, `score(outputs, targets) -> {metric:
  value}`.
- `answers(outputs, labels) -> list[Answer]`.

Importing a module loads no torch, so that files are read and checked at once: its functions import what they
compute with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry import ConflictError, Registry
from registry.errors import InvalidSettingError
from registry.names import check_task
from trainer import kinds
from trainer.data import TaskData, read_task, task_name


@dataclass(frozen=True)
class Answer:
    """What an expert says of one text.

    Attributes:
        label: the answer; probability: how sure the expert is; probabilities: of every label.
    """

    label: str
    probability: float
    probabilities: dict[str, float]


def refuse_other_kind(registry: Registry, task: str, kind: str) -> None:
    """A task keeps its kind: rows of another are refused before anything is computed from them.

    Raises:
        ConflictError: the task is of another kind.
    """
    known = {one.name: one.kind for one in registry.tasks()}
    if known.get(task, kind) != kind:
        raise ConflictError(
            f"task {task!r} is of kind {known[task]}, these rows are of kind {kind}: give them another --name"
        )


def read_tasks(files: Sequence[str | Path], **columns: Any) -> list[tuple[str, TaskData]]:
    """Read and check several files; each task's name and rows.

    Raises:
        DataRefusedError, NotFoundError: as `read_task`.
        InvalidSettingError: two files of the same name.
    """
    names = [check_task(task_name(file)) for file in files]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise InvalidSettingError(
                f"two files are for the task {name!r}: rename one, or add them one by one with --name"
            )
    known = kinds.load_all("tasks")
    return [(name, read_task(file, known, **columns)) for name, file in zip(names, files, strict=True)]
