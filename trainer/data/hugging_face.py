"""Datasets of the Hugging Face library, as `load_dataset` gives them: in memory, or mapped from its cache.

They know more than a file of cells does: the names of classes, which stand for their numbers here, and which
splits there are. Nothing is fetched and no code of a dataset runs; what a person has set to be computed on
the way (`set_transform`) is not looked at.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from registry.errors import InvalidSettingError
from trainer.data.refusals import listed, quoted, refusal
from trainer.data.rows import SEPARATOR
from trainer.data.splits import ALIASES
from trainer.data.tables import MAX_ROWS, Body, Table, check_columns

if TYPE_CHECKING:  # It takes two seconds to load.
    from datasets import Dataset, DatasetDict

BATCH = 1000
"""Rows that are decoded at a time."""
UNLABELLED = -1
"""What stands for a class that is not told, as in the test rows of many benchmarks."""

Write = Callable[[Any], str | None]
"""A value as text; None where it is a class that is not told."""


def source_of(data: "Dataset | DatasetDict") -> str:
    """What its rows are said to come from, as if it were a file: `sst2.arrow`, or `.arrow` without a name.

    Raises:
        InvalidSettingError: neither a path nor a dataset.
    """
    infos = [one.info for one in _splits(data).values()]
    return f"{next((info.dataset_name for info in infos if info.dataset_name), '')}.arrow"


def table_of(data: "Dataset | DatasetDict") -> Table:
    """The rows of a dataset, in a column `split` which of its splits each is of, where it has several.

    Raises:
        InvalidSettingError: neither a path nor a dataset.
        DataRefusedError: columns of types that are no text, an empty cell, too much data.
    """
    splits = _splits(data)
    source = source_of(data)
    findings: list[str] = []
    if "" not in splits:
        splits = _known(splits, source, findings)
    first = next(iter(splits.values()))
    if sum(len(one) for one in splits.values()) > MAX_ROWS:
        raise refusal(source, None, f"more than {MAX_ROWS:,} rows, the most that are read")
    for one in splits.values():
        if one.features != first.features:
            raise refusal(source, None, "its splits have different columns: give one of them at a time")
    named = [*first.column_names, *(["split"] if next(iter(splits)) else [])]
    columns, body = check_columns(named, source, None), Body(source)
    writers = {name: _writer(name, feature, source) for name, feature in first.features.items()}
    for split, one in splits.items():
        untold = 0
        for row in _rows(one.with_format(None), writers, source, split):
            if row is None:
                untold += 1
            else:
                body.take([*row, split] if split else row)
        if untold:
            of = f" of {split}" if split else ""
            findings.append(f"rows without a label are left out: {untold:,}{of} have the class -1")
    if not body.rows:
        raise refusal(source, None, "no rows: the dataset is empty")
    return body.table(columns, findings)


def _splits(data: Any) -> dict[str, "Dataset"]:
    """By name; a dataset by itself is of the split ''."""
    from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict

    if isinstance(data, DatasetDict):
        return {str(name): one for name, one in data.items()}
    if isinstance(data, Dataset):
        return {"": data}
    if isinstance(data, IterableDataset | IterableDatasetDict):
        raise InvalidSettingError("a dataset that streams cannot be taken: load it with streaming=False")
    raise InvalidSettingError(
        f"{quoted(repr(data))} holds no rows: give the path of a file, or a dataset as datasets.load_dataset "
        "gives it"
    )


def _known(splits: dict[str, "Dataset"], source: str, findings: list[str]) -> dict[str, "Dataset"]:
    """Those splits that are ours by their names; what is left out is told."""
    known = {name: one for name, one in splits.items() if name.casefold() in ALIASES}
    if not known:
        there = listed([*splits]) or "no splits"
        raise refusal(source, None, f"{there}, and no rows of train, validation or test: give one split")
    if left := [name for name in splits if name not in known]:
        findings.append(f"splits that are not train, validation or test are left out: {listed(left)}")
    return known


def _rows(data: "Dataset", writers: dict[str, Write], source: str, split: str) -> Iterator[list[str] | None]:
    """The cells of each row; None for a row whose class is not told."""
    done = 0
    for batch in data.iter(BATCH):
        columns = [batch[name] for name in writers]
        for cells in zip(*columns, strict=True):
            done += 1
            row: list[str] | None = []
            for (name, write), cell in zip(writers.items(), cells, strict=True):
                if cell is None:
                    there = f" in row {done} of {split}" if split else ""
                    raise refusal(
                        source,
                        None if split else done,
                        f"the value of {quoted(name)} is null{there}; write a text or drop the row",
                    )
                written = write(cell)
                row = None if row is None or written is None else [*row, written]
            yield row


def _writer(name: str, feature: Any, source: str) -> Write:
    """How the values of a column become text.

    Raises:
        DataRefusedError: they are no texts, numbers, classes or lists of those.
    """
    from datasets import ClassLabel, List, Value

    if isinstance(feature, ClassLabel):
        return lambda value: _class(name, source, feature.names, value)
    if isinstance(feature, List) and isinstance(feature.feature, ClassLabel | Value):
        inner = _writer(name, feature.feature, source)
        return lambda values: _joined(name, source, [inner(value) for value in values])
    if isinstance(feature, Value):
        kind = feature.dtype
        if kind in ("string", "large_string"):
            return str
        if kind == "bool":
            return lambda value: str(value).lower()
        if kind.startswith(("int", "uint")):
            return str
        if kind in ("float16", "float32", "float64"):
            # The shortest text that stands for the number in its own precision: 3.8, not 3.799999952316284.
            exact = np.dtype(kind).type
            return lambda value: np.format_float_positional(exact(value), trim="0")
    raise refusal(
        source,
        None,
        f"the column {quoted(name)} is of the type {quoted(str(feature))}; only texts, numbers, classes and "
        f"lists of them are read: leave it out with remove_columns",
    )


def _class(name: str, source: str, names: Sequence[str], value: int) -> str | None:
    """The name of a class; None where it is not told."""
    if value == UNLABELLED:
        return None
    if not 0 <= value < len(names):
        raise refusal(
            source,
            None,
            f"the class {value} of {quoted(name)} is none of its {len(names)}: 0 to {len(names) - 1}",
        )
    return names[value]


def _joined(name: str, source: str, values: list[str | None]) -> str | None:
    """The values of a list in one cell."""
    told = [value for value in values if value is not None]
    if any(SEPARATOR in value for value in told):
        raise refusal(
            source,
            None,
            f"a value of {quoted(name)} holds '{SEPARATOR}', which stands between values: rename it",
        )
    return SEPARATOR.join(told) if len(told) == len(values) else None
