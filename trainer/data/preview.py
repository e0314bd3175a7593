"""What a file would give, told to a person before anything is asked for: nothing in here raises a refusal."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from registry.errors import DataRefusedError, InvalidSettingError, NotFoundError
from trainer.data.reading import TaskKindModule, read_table, task_of
from trainer.data.refusals import printable
from trainer.data.rows import TaskData
from trainer.data.tables import Table

HEAD = 10
"""Rows that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A file as it was understood, as far as it could be.

    Attributes:
        source: the file's name, without its folder.
        table: its cells; None when they cannot be read.
        data: the checked rows with their splits; None when they are refused.
        refusal: why, with the line where there is one.
    """

    source: str
    table: Table | None = None
    data: TaskData | None = None
    refusal: str | None = None

    @property
    def head(self) -> list[tuple[int, list[str]]]:
        """The first rows, each with its line number."""
        if self.table is None:
            return []
        return list(zip(self.table.lines[:HEAD], self.table.rows[:HEAD], strict=True))

    @property
    def findings(self) -> tuple[str, ...]:
        """What was noticed, as far as reading came."""
        if self.data is not None:
            return self.data.findings
        return () if self.table is None else self.table.findings


def preview(
    path: str | os.PathLike[str],
    kinds: Mapping[str, TaskKindModule],
    *,
    kind: str | None = None,
    validation: str | os.PathLike[str] | None = None,
    test: str | os.PathLike[str] | None = None,
    **columns: str | None,
) -> Preview:
    """Read a file as `read_task` does; what is wrong with it is part of the answer.

    Args:
        validation, test: files of those rows.
        columns: `text`, `text_pair`, `label`: columns, where their names do not say it.
    """
    source, table = Path(path).name, None
    try:
        table = read_table(path)
        data = task_of(table, kinds, kind, columns, validation=validation, test=test)
    except (DataRefusedError, InvalidSettingError, NotFoundError) as error:
        said = by_name(str(error), path, validation, test)
        return Preview(source=source, table=table, refusal=said)
    return Preview(source=source, table=table, data=data)


def by_name(said: str, *paths: str | os.PathLike[str] | None) -> str:
    """What is said of files, under their names: whoever uploaded one knows that, but not where it was put."""
    for path in paths:
        if path is not None:
            said = said.replace(printable(os.fspath(path)), printable(Path(path).name))
    return said
