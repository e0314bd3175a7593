"""The rows that a mixture of experts learns from: texts, texts with what is to be written after them, or rows
of the experts' own tasks. Nothing here needs torch."""

import os
from collections.abc import Mapping, Sequence

from registry import Expert
from registry.errors import InvalidSettingError, nearest
from trainer import kinds
from trainer.data import Row, TaskData, is_empty, quoted, read_table, refusal
from trainer.data.checks import check_inputs
from trainer.data.columns import ANSWERS, assign_columns, columns_finding
from trainer.data.reading import placed, table_rows

KIND = "corpus"
"""In place of a task's kind."""
ROLES = ("text_pair", *ANSWERS, "task", "split")


def read_corpus(
    path: str | os.PathLike[str],
    experts: Sequence[Expert],
    *,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
) -> TaskData:
    """The checked rows of a corpus, each in the split that a column says, else the hash of its text.

    Args:
        experts: that are to mix; a `task` column names the one that a row belongs to.
        text, text_pair, label: columns, where their names do not say it; `label`: of labels.

    Raises:
        NotFoundError: no such file or column.
        DataRefusedError: the rows cannot be taken as they are, or no expert can learn from them.
        InvalidSettingError: a task whose rows a mixture does not learn.
    """
    table = read_table(path)
    roles = assign_columns(table, ("text",), ROLES, {"text": text, "text_pair": text_pair, "label": label})
    _check_columns(table.source, table.header, roles, experts)
    rows = table_rows(table, roles, None)
    used = columns_finding(roles, table)
    roles.pop("split", None)
    inputs = [role for role in ("text", "text_pair") if role in roles]
    check_inputs(rows, inputs)
    _check_answers(rows, roles, experts)
    rows, findings = placed(rows, inputs, None)
    return TaskData(
        kind=KIND,
        labels=(),
        rows=tuple(rows),
        columns=roles,
        source=table.source,
        findings=(*table.findings, used, *findings),
    )


def _check_columns(
    source: str, line: int | None, roles: Mapping[str, str], experts: Sequence[Expert]
) -> None:
    given = [role for role in ANSWERS if role in roles]
    if len(given) > 1:
        columns = " and ".join(quoted(roles[role]) for role in given)
        raise refusal(source, line, f"two columns could be the answer, {columns}: leave one of them out")
    if "label" in given and "task" not in roles:
        raise refusal(
            source,
            line,
            f"the column {quoted(roles['label'])} holds labels, and none says of which task: add a column "
            f"task that names one of {_tasks(experts)}, or leave the labels out to learn the texts",
        )
    if not given and "task" in roles:
        raise refusal(source, line, "a task column needs the answers beside it, in a column label or target")
    if "target" in given and "task" not in roles and not any(_writes(one) for one in experts):
        raise refusal(
            source,
            line,
            f"targets are to be written, and none of {_tasks(experts)} writes: name one that does",
        )


def _check_answers(rows: Sequence[Row], roles: Mapping[str, str], experts: Sequence[Expert]) -> None:
    """Refuse answers that the expert of their task cannot give."""
    if "target" in roles and "task" not in roles:
        for row in rows:
            if is_empty(row.values["target"]):
                raise refusal(row.source, row.line, "the target is empty")
    if "task" not in roles:
        return
    of_task: dict[str, list[Row]] = {}
    for row in rows:
        of_task.setdefault(row.values["task"], []).append(row)
    known = {expert.task: expert for expert in experts}
    for task, own in of_task.items():
        if task not in known:
            raise refusal(
                own[0].source,
                own[0].line,
                f"the task {quoted(task)} is none of {_tasks(experts)}.{nearest(task, known)}",
            )
        _check_task(known[task], own, roles)


def _check_task(expert: Expert, rows: Sequence[Row], roles: Mapping[str, str]) -> None:
    kind, first = kinds.load("tasks", expert.kind), rows[0]
    if kind.CHOICES:
        raise InvalidSettingError(
            f"{expert.name} chooses among choices, which a mixture does not learn: leave its rows out"
        )
    if kind.TARGET not in roles:
        raise refusal(first.source, first.line, f"rows of the task {expert.task} need a column {kind.TARGET}")
    if not expert.labels:
        kind.check(rows)
    for row in rows:
        for label in kind.labels_of(row):
            if label not in expert.labels:
                near = nearest(label, expert.labels)
                said = f"{expert.name} does not know the label {quoted(label)}.{near}"
                raise refusal(row.source, row.line, said)


def _writes(expert: Expert) -> bool:
    return bool(kinds.load("tasks", expert.kind).WRITES)


def _tasks(experts: Sequence[Expert]) -> str:
    return ", ".join(expert.task for expert in experts)
