"""Rows that are too few to train on, and enough to combine experts by."""

from typing import Any

from trainer import kinds
from trainer.data import Given, TaskData, read_task, refusal
from trainer.tasks import refuse_unsolvable

FEWEST, MOST = 8, 64


def read_few(rows: Given, **columns: Any) -> TaskData:
    """The checked rows of a file or dataset; what is read is as of `trainer.data.read_task`.

    Raises:
        DataRefusedError: they cannot be taken as they are, or are too few or too many.
        NotFoundError: no such file, column or kind.
        InvalidSettingError: their kind can only be trained.
    """
    data = read_task(rows, kinds.load_all("tasks"), **columns)
    check_few(data)
    return data


def check_few(data: TaskData) -> None:
    """Refuse rows that experts cannot be combined by.

    Raises:
        DataRefusedError: they are too few or too many.
        InvalidSettingError: their kind can only be trained.
    """
    refuse_unsolvable(data.kind)
    count = sum(row.source == data.source for row in data.rows)
    if count < FEWEST:
        raise refusal(data.source, None, f"{count} rows; adapt needs {FEWEST} at least: add some")
    if count > MOST:
        raise refusal(
            data.source,
            None,
            f"{count:,} rows; adapt takes {MOST} at most, with more add-task trains an expert of their own",
        )
