"""Task kinds, one module each. The contract, held by `tests/trainer/tasks/test_contract.py`:

- `REQUIRED`, `OPTIONAL`, `TARGET`: the roles of its columns, and which of them is the answer; `METRIC`: the
  score that counts, and the larger the better; `CHOICES`: whether its inputs have choices; `WRITES`: whether
  its answers are written token by token.
- `recognises(columns, rows) -> bool`: whether a file is of this kind, told from the column of each role that
  some kind knows, and from the rows.
- `check(rows) -> (labels, findings)`: the labels of a dataset and remarks for a person; refuses rows that
  cannot be trained on. `labels_of(row)`: those that a row names; none for kinds without labels.
- `configure(settings, roles) -> dict`: what shapes an expert of this kind on rows with these roles, as JSON
  that is kept with it (of kinds that write, a `template`); refuses settings that do not fit them.
- `head(inputs, labels)`: an `nn.Module` from a pooled state `(batch, inputs)` to outputs; it says the same
  of everything when untrained. Its buffers are frozen with it: `prepare(head, rows)` sets them from the
  training rows before the first step, `settle(head, outputs, rows, labels)` from the outputs for the
  validation rows after each epoch.
- `targets(head, rows, labels) -> Tensor`, `loss(outputs, targets) -> Tensor`.
- `aims(targets, outputs) -> Tensor`: what each output of each row should be, `(rows, outputs)`, so that a
  head (then a linear layer) can be solved by least squares. Kinds without it are only trained.
- `answers(head, outputs, labels, inputs) -> list[Answer]`, and `combine(answers, weights, asked) -> Answer`:
  what several experts of the kind say together of one input, by weights that sum to 1.
- `metrics(answers, rows) -> {metric: value}`, METRIC first, and `credits(answers, rows)`, from 0 to 1 for
  each row: both from what `Answer.label` said, so that recorded answers can be scored.

Outputs have one row for each input. Where inputs have choices, the head sees each choice apart and gives it
one number; outputs are then `(batch, choices)`, with -inf where an input has fewer than others of its batch.

Of kinds that write, the head is given the states of tokens, and gives those that the base model's own words
are read off. Outputs are `(rows, 2)`: the surprise of a row's target, the sum over its tokens, and how many
these are. `answers` is given the texts that were written in place of outputs, and `fit(outputs) -> {metric:
value}` says what is known of an expert without writing.

Importing a module loads no torch, so that files are read and checked at once: its functions import what they
compute with.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry import ConflictError, Registry
from registry.errors import InvalidSettingError
from registry.names import check_task
from trainer import kinds
from trainer.data import Row, TaskData, read_task, task_name
from trainer.settings import ExpertSettings

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Answer:
    """What an expert says of one input.

    Attributes:
        label: the answer, as text; value: as a number, where it is one; index: of the choice, where there are
            some.
        cut: whether it was to go on when it was as long as answers may be.
        probability: how sure the expert is, where that can be told; probabilities: of every label or choice.
    """

    label: str
    probability: float | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    value: float | None = None
    index: int | None = None
    cut: bool = False


def shares_of(answers: Sequence[Answer], weights: Sequence[float]) -> dict[str, float]:
    """The weighted mean of what several experts give each label; labels of the same name are the same, and
    one that an expert does not know has nothing from it."""
    found: dict[str, float] = {}
    for answer, weight in zip(answers, weights, strict=True):
        for label, share in answer.probabilities.items():
            found[label] = found.get(label, 0.0) + weight * share
    return found


def prepare_nothing(head: "nn.Module", rows: Sequence[Row]) -> None:
    """`prepare` of kinds whose heads take nothing from the rows."""


def configure_nothing(settings: ExpertSettings, roles: Sequence[str]) -> dict[str, Any]:
    """`configure` of kinds that have nothing to choose.

    Raises:
        InvalidSettingError: a template is given.
    """
    if settings.template is not None:
        raise InvalidSettingError("a template is for tasks whose answers are written: leave it out here")
    return {}


def settle_nothing(head: "nn.Module", outputs: "Tensor", rows: Sequence[Row], labels: Sequence[str]) -> None:
    """`settle` of kinds whose heads have nothing to choose."""


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


def refuse_unsolvable(kind: str) -> None:
    """Only a head in closed form can be had without training.

    Raises:
        InvalidSettingError: heads of this kind have none.
    """
    known = [name for name, module in kinds.load_all("tasks").items() if hasattr(module, "aims")]
    if kind not in known:
        raise InvalidSettingError(
            f"rows of the kind {kind} need training, only those of {', '.join(known)} do without: "
            "use add-task without --instant"
        )


def check_settings(rows: TaskData, settings: ExpertSettings) -> dict[str, Any]:
    """What the kind of some rows is shaped by, see `configure`, if it can be had as these settings say.

    Raises:
        InvalidSettingError: settings that do not fit them.
    """
    if settings.instant:
        refuse_unsolvable(rows.kind)
    config: dict[str, Any] = kinds.load("tasks", rows.kind).configure(settings, tuple(rows.rows[0].values))
    return config


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
