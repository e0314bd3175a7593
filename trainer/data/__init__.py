"""Rows of a task from a file or a dataset: taken exactly as written, or refused with file, line and reason.

A path becomes bytes (`files`), bytes become a table of text (`delimited`, `jsonl`, `parquet`), as a dataset
does by itself (`hugging_face`); columns get their roles (`columns`), and the checked rows (`labels`,
`checks`) their splits (`splits`). No value of a file is ever converted.
"""

from trainer.data.checks import is_empty
from trainer.data.columns import names_amounts
from trainer.data.labels import check_labels
from trainer.data.numbers import measures, number
from trainer.data.preview import Preview, preview
from trainer.data.reading import Given, TaskKindModule, read_table, read_task, source_name, task_name
from trainer.data.refusals import quoted, refusal
from trainer.data.rows import CHOICES, SEPARATOR, SPLITS, Row, Split, TaskData
from trainer.data.tables import Table
from trainer.data.texts import read_texts

__all__ = [
    "CHOICES",
    "SEPARATOR",
    "SPLITS",
    "Given",
    "Preview",
    "Row",
    "Split",
    "Table",
    "TaskData",
    "TaskKindModule",
    "check_labels",
    "is_empty",
    "measures",
    "names_amounts",
    "number",
    "preview",
    "quoted",
    "read_table",
    "read_task",
    "read_texts",
    "refusal",
    "source_name",
    "task_name",
]
