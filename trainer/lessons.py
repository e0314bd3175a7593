"""The rows of a corpus as a mixture reads them, and what each is to teach it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from registry.errors import InvalidSettingError
from trainer.base_model import BaseModel
from trainer.data import Row, refusal
from trainer.experts import ExpertModule
from trainer.prompts import Prompts
from trainer.tokens import Tokens


@dataclass(frozen=True)
class Lessons:
    """Rows of a corpus, in the order of their encoding.

    Attributes:
        tokens: of each, as it is read; owners: of each the slot of the expert whose head answers it; None
            where its target is written.
    """

    rows: Sequence[Row]
    tokens: Sequence[Tokens]
    owners: Sequence[int | None]

    def places(self, split: str) -> list[int]:
        """The rows of a split."""
        return [place for place, row in enumerate(self.rows) if row.split == split]

    def by_owner(self, places: Sequence[int]) -> dict[int | None, list[int]]:
        """Which of some places belong to which owner, as numbers into `places`."""
        found: dict[int | None, list[int]] = {}
        for number, place in enumerate(places):
            found.setdefault(self.owners[place], []).append(number)
        return found


def read_lessons(
    base: BaseModel, members: Sequence[ExpertModule], tasks: Sequence[str], rows: Sequence[Row]
) -> Lessons:
    """Rows of a corpus, checked against these experts before, as the shortest-sighted of them reads texts.

    Args:
        tasks: of the members.

    Raises:
        InvalidSettingError: rows that are to be written on an encoder, or behind several templates.
        DataRefusedError: a row is longer than the base model reads.
    """
    limit = min(member.architecture.max_length for member in members)
    writers = {
        task: replace(Prompts.of(base, member.architecture), max_length=limit)
        for task, member in zip(tasks, members, strict=True)
        if member.kind.WRITES
    }
    tokens: list[Tokens] = []
    owners: list[int | None] = []
    for row in rows:
        task = row.values.get("task")
        written = task is None or task in writers
        if written and not base.is_decoder:
            raise InvalidSettingError(
                f"these rows are to be written, which needs a decoder, and {base.record.name} is an encoder: "
                "give rows with columns label and task, or mix experts on a decoder"
            )
        owners.append(None if written or task is None else list(tasks).index(task))
        tokens.append(_read(base, writers, limit, row) if written else _asked(base, limit, row))
        if len(tokens[-1].ids) > base.max_positions:
            raise refusal(
                row.source,
                row.line,
                f"text and target have {len(tokens[-1].ids):,} tokens, more than the {base.max_positions:,} "
                f"that {base.record.name} reads: shorten them",
            )
    return Lessons(rows, tokens, owners)


def _asked(base: BaseModel, limit: int, row: Row) -> Tokens:
    [found] = base.tokenize(row.input.sequences, limit)
    return found


def _read(base: BaseModel, writers: dict[str, Prompts], limit: int, row: Row) -> Tokens:
    """The prompt and the target of a row; without one, all of its tokens are to be learnt."""
    if "target" not in row.values:
        text = _asked(base, limit, row)
        ids = text.ids if text.cut else [*text.ids, base.end]
        # A text of one token that was cut there says nothing of a next one, so its end is learnt.
        ids = ids if len(ids) > 1 else [*ids, base.end]
        return Tokens(ids, [0] * len(ids), text.cut, len(ids) - 1)
    task = row.values.get("task")
    if task is None and len({prompts.template for prompts in writers.values()}) > 1:
        raise InvalidSettingError(
            f"{', '.join(writers)} write behind different templates: add a column task that says whose each "
            "row is"
        )
    prompts = next(iter(writers.values())) if task is None else writers[task]
    return prompts.learn(row.input, row.values["target"])
