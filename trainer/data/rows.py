"""The rows of one task as every later step sees them, and their canonical bytes."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self, cast

from trainer.inputs import Input

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
CHOICES = tuple(f"choice_{number}" for number in range(26))
"""The roles of the columns that hold the answers to choose from."""
SEPARATOR = "|"
"""Between the labels of a row that has several."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: role -> text exactly as written, the split it is in, and where it was read.

    Where it was read (`line`, `source`) is no part of what the row is: equality leaves it out.
    """

    values: Mapping[str, str]
    split: Split
    line: int = field(default=0, compare=False)
    source: str = field(default="", compare=False)

    @property
    def text(self) -> str:
        """The text to be answered."""
        return self.values["text"]

    @property
    def text_pair(self) -> str | None:
        """The second text of a pair, or None."""
        return self.values.get("text_pair")

    @property
    def choices(self) -> tuple[str, ...]:
        """The answers to choose from, of rows that have some."""
        return tuple(self.values[role] for role in CHOICES if role in self.values)

    @property
    def input(self) -> Input:
        """What is asked."""
        return Input(self.text, self.text_pair, self.choices)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskData:
    """One checked dataset: its rows with their splits, its labels, and what was noticed in reading it.

    `labels` is sorted, and empty for kinds without labels; `columns` maps each role to the column that
    plays it; `findings` are sentences for a person.
    """

    kind: str
    labels: tuple[str, ...]
    rows: tuple[Row, ...]
    columns: dict[str, str] = field(default_factory=dict)
    source: str = ""
    findings: tuple[str, ...] = ()

    def split(self, name: Split) -> list[Row]:
        """The rows of one split, in the order of the file."""
        return [row for row in self.rows if row.split == name]

    def counts(self) -> dict[str, int]:
        """Rows in each split; every split is a key."""
        counted = Counter(row.split for row in self.rows)
        return {name: counted[name] for name in SPLITS}

    def to_jsonl(self) -> bytes:
        """The canonical bytes: one object a row, sorted keys, UTF-8, LF; equal rows give equal bytes."""
        lines = (
            json.dumps(
                {**row.values, "split": row.split}, ensure_ascii=False, sort_keys=True, separators=(",", ":")
            )
            for row in self.rows
        )
        return "".join(f"{line}\n" for line in lines).encode("utf-8")

    @classmethod
    def from_jsonl(
        cls,
        content: bytes,
        *,
        kind: str,
        labels: Sequence[str],
        columns: Mapping[str, str] | None = None,
        source: str = "",
        findings: Sequence[str] = (),
    ) -> Self:
        """The dataset whose `to_jsonl` gave `content`; `line` then counts the lines of `content`."""
        rows = []
        for number, line in enumerate(content.decode("utf-8").removesuffix("\n").split("\n"), start=1):
            values = json.loads(line)
            rows.append(Row(values, cast(Split, values.pop("split")), number, source))
        return cls(
            kind=kind,
            labels=tuple(labels),
            rows=tuple(rows),
            columns=dict(columns or {}),
            source=source,
            findings=tuple(findings),
        )
