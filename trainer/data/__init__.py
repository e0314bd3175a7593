"""Rows of a task from a file: taken exactly as written, or refused with file, line and reason.

A path becomes bytes (`files`), bytes become a table of text (`delimited`, `jsonl`, `parquet`), columns get
their roles (`columns`), and the checked rows (`labels`, `checks`) their splits (`splits`). No value is ever
converted.
"""

from trainer.data.files import task_name
from trainer.data.labels import check_labels
from trainer.data.preview import Preview, preview
from trainer.data.reading import TaskKindModule, read_table, read_task
from trainer.data.rows import SPLITS, Row, Split, TaskData
from trainer.data.tables import Table
from trainer.data.texts import read_texts

__all__ = [
    "SPLITS",
    "Preview",
    "Row",
    "Split",
    "Table",
    "TaskData",
    "TaskKindModule",
    "check_labels",
    "preview",
    "read_table",
    "read_task",
    "read_texts",
    "task_name",
]
