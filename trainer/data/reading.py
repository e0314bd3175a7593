"""The way in: a path becomes a table, a table becomes the checked rows of a task."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Union

from registry.errors import InvalidSettingError, not_found
from trainer.data.checks import Named, check_choices, check_inputs, label_in_text, leaks, repeats
from trainer.data.columns import assign_columns, columns_finding
from trainer.data.delimited import parse_delimited
from trainer.data.files import named_after, read_bytes, read_utf8
from trainer.data.hugging_face import source_of, table_of
from trainer.data.jsonl import parse_jsonl
from trainer.data.parquet import parse_parquet
from trainer.data.refusals import listed, printable, quoted, refusal
from trainer.data.rows import SPLITS, Row, Split, TaskData
from trainer.data.splits import assign_splits, check_labels_in_train, named_split, position
from trainer.data.tables import Table

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

JSON_NAMES = {".jsonl", ".ndjson", ".json"}
"""Endings of files that are read as JSON Lines."""


Given = Union[str, os.PathLike[str], "Dataset", "DatasetDict"]
"""Where rows are: the path of a file, or a dataset of the Hugging Face library."""


class TaskKindModule(Protocol):
    """What a module of `trainer.tasks` says about the rows it takes."""

    @property
    def REQUIRED(self) -> tuple[str, ...]:
        """Roles that a column must play."""

    @property
    def OPTIONAL(self) -> tuple[str, ...]:
        """Roles that a column may play."""

    @property
    def TARGET(self) -> str:
        """The role that is to be predicted; the others are inputs."""

    @property
    def recognises(self) -> Callable[[Mapping[str, str], Sequence[Row]], bool]:
        """Whether a file is of this kind, told from the column of each role, of any kind, and the rows."""

    @property
    def check(self) -> Callable[[Sequence[Row]], tuple[tuple[str, ...], Sequence[str]]]:
        """The labels (empty for kinds without) and findings of rows, or a refusal."""

    @property
    def labels_of(self) -> Named:
        """The labels that a row names; none for kinds without."""


def source_name(data: Given) -> str:
    """The name of a file, or of a dataset as if it were one."""
    return Path(data).name if isinstance(data, str | os.PathLike) else source_of(data)


def task_name(data: Given) -> str:
    """A task's name from that of its file or dataset: lower case, other characters than letters, digits, `-`
    and `_` become `_`.

    Raises:
        InvalidSettingError: a dataset that was made from rows and has no name.
    """
    source = source_name(data)
    if source == ".arrow":
        raise InvalidSettingError(
            "a dataset that was made from rows has no name: give the task one, name=..."
        )
    return named_after(source)


def read_table(data: Given) -> Table:
    """The cells of a CSV, TSV, JSON Lines or Parquet file exactly as written, or those of a dataset.

    Raises:
        NotFoundError: there is no such file.
        InvalidSettingError: neither a path nor a dataset.
        DataRefusedError: the rows cannot be taken as they are; the message names file, line and reason.
    """
    if not isinstance(data, str | os.PathLike):
        return table_of(data)
    source = os.fspath(data)
    ending = Path(source).suffix.lower()
    if ending == ".parquet":
        return parse_parquet(read_bytes(source), source)
    parse = parse_jsonl if ending in JSON_NAMES else parse_delimited
    return parse(read_utf8(source), source)


def read_task(
    data: Given,
    kinds: Mapping[str, TaskKindModule],
    *,
    kind: str | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    validation: Given | None = None,
    test: Given | None = None,
) -> TaskData:
    """The checked rows of a task, each in its split.

    A `split` column, the splits of a dataset and what is given as `validation` and `test` are respected; what
    they do not give is set aside by the hash of the text (`trainer.data.splits`).

    Raises:
        NotFoundError: no such file, column or kind.
        InvalidSettingError: one column named for two roles.
        DataRefusedError: anything else that keeps the rows from being taken; one line with the reason.
    """
    options = {"text": text, "text_pair": text_pair, "label": label}
    return task_of(read_table(data), kinds, kind, options, validation=validation, test=test)


def task_of(
    table: Table,
    kinds: Mapping[str, TaskKindModule],
    kind: str | None,
    options: Mapping[str, str | None],
    *,
    validation: Given | None = None,
    test: Given | None = None,
) -> TaskData:
    """As `read_task`, from a table that has been read; `options`: columns by role."""
    kind, roles, rows = _recognised(table, kinds, kind, options)
    module = kinds[kind]
    check_choices(roles, table.source, table.header)
    given: tuple[tuple[Split, Given | None], ...] = (
        ("validation", validation),
        ("test", test),
    )
    for split, extra in given:
        if extra is not None:
            rows += _split_file(extra, split, table, roles, rows)
    used = columns_finding(roles, table)
    roles.pop("split", None)
    inputs = tuple(role for role in roles if role != module.TARGET)
    check_inputs(rows, inputs)
    labels, noticed = module.check(rows)
    named = module.labels_of if labels else None
    findings = [*table.findings, used, *noticed, *repeats(rows, inputs, named)]
    rows, told = placed(rows, inputs, named)
    findings += told
    if named is not None:
        findings += label_in_text(rows, inputs, labels, named)
    return TaskData(
        kind=kind,
        labels=labels,
        rows=tuple(rows),
        columns=roles,
        source=table.source,
        findings=tuple(findings),
    )


def _recognised(
    table: Table, kinds: Mapping[str, TaskKindModule], kind: str | None, options: Mapping[str, str | None]
) -> tuple[str, dict[str, str], list[Row]]:
    """The kind, the column of each role, and the rows with those."""
    known: tuple[dict[str, str], list[Row]] = {}, []
    if kind is not None and kind not in kinds:
        raise not_found("task kind", kind, kinds)
    if kind is not None:
        # The column of the answer, whatever role that plays.
        options = {kinds[kind].TARGET if role == "label" else role: name for role, name in options.items()}
    if kind is None and len(kinds) > 1:
        every = [role for module in kinds.values() for role in (*module.REQUIRED, *module.OPTIONAL)]
        found = assign_columns(table, (), tuple(dict.fromkeys((*every, "split"))), options)
        known = found, table_rows(table, found, None)
        fitting = [name for name, module in kinds.items() if module.recognises(*known)]
        if len(fitting) != 1:
            verdict = f"fit the kinds {listed(fitting)}; say which with --kind"
            answers = sorted({module.TARGET for module in kinds.values()} & {*found})
            if len(answers) > 1:
                verdict = f"hold more than one answer, {listed(answers)}; say which kind it is with --kind"
            elif not fitting:
                # Of the kind that lacks least, the column that is missing, where that is what is wrong.
                nearest = min(kinds.values(), key=lambda one: len({*one.REQUIRED} - {*found}))
                assign_columns(table, nearest.REQUIRED, nearest.OPTIONAL, options)
                verdict = f"fit none of the kinds {listed(tuple(kinds))}; say which with --text and --label"
            raise refusal(table.source, table.header, f"the columns {listed(table.columns)} {verdict}")
        kind = fitting[0]
    kind = kind or next(iter(kinds))
    roles = assign_columns(table, kinds[kind].REQUIRED, (*kinds[kind].OPTIONAL, "split"), options)
    return kind, roles, known[1] if roles == known[0] else table_rows(table, roles, None)


def table_rows(table: Table, roles: Mapping[str, str], split: Split | None) -> list[Row]:
    """The rows with only the columns that play a role; `split` None: as the split column says, else train."""
    places = [(role, table.columns.index(column)) for role, column in roles.items() if role != "split"]
    split_place = table.columns.index(roles["split"]) if "split" in roles else None
    rows = []
    for cells, line in zip(table.rows, table.lines, strict=True):
        said = None if split_place is None else named_split(cells[split_place], table.source, line)
        if said is not None and split is not None and said != split:
            raise refusal(table.source, line, f"the split column says {said} in the file given for {split}")
        values = {role: cells[place] for role, place in places}
        rows.append(Row(values, split or said or "train", line, table.source))
    return rows


def _split_file(
    data: Given, split: Split, table: Table, roles: Mapping[str, str], rows: Sequence[Row]
) -> list[Row]:
    """The rows given for one split; their columns are found under the same names."""
    extra = read_table(data)
    paths = isinstance(data, str | os.PathLike) and Path(table.source).exists()
    if paths and Path(extra.source).samefile(table.source):
        raise refusal(extra.source, None, f"given for {split}, but it is the data file itself")
    if any(row.split == split for row in rows):
        raise refusal(
            extra.source, None, f"given for {split}, but the split column of the data file has {split} rows"
        )
    wanted = {role: column for role, column in roles.items() if role != "split" or column in extra.columns}
    for column in wanted.values():
        if column not in extra.columns:
            raise refusal(
                extra.source, extra.header,
                f"no column {quoted(column)}, which {printable(table.source)} has;"
                f" its columns are {listed(extra.columns)}",
            )  # fmt: skip
    return table_rows(extra, wanted, split)


def placed(rows: list[Row], inputs: Sequence[str], named: Named | None) -> tuple[list[Row], list[str]]:
    """The rows in their splits, and what was set aside or found to be shared between given splits."""
    positions = [position(row.values[role] for role in inputs) for row in rows]
    pool = [index for index, row in enumerate(rows) if row.split == "train"]
    if not pool:
        raise refusal(
            rows[0].source, None, "no train rows; the split column gives them all to validation or test"
        )
    present = {row.split for row in rows}
    missing = [split for split in SPLITS if split not in present]
    labels = None if named is None else [named(rows[index]) for index in pool]
    splits = assign_splits([positions[index] for index in pool], labels, missing)
    if splits is None:
        raise refusal(
            rows[0].source, None, f"too few different texts to set some aside for {' and '.join(missing)};"
            " add rows, or give them as files of their own",
        )  # fmt: skip
    placed = list(rows)
    for index, split in zip(pool, splits, strict=True):
        if split != "train":
            placed[index] = dataclasses.replace(rows[index], split=split)
    if named is not None:
        check_labels_in_train(placed, named)
    findings = leaks(placed, positions)
    if missing:
        counts = " and ".join(f"{splits.count(split):,} for {split}" for split in missing)
        findings.insert(0, f"rows set aside by the hash of their text: {counts}")
    return placed, findings
