"""What is noticed in the rows of any kind: empty inputs, repeats, contradictions, leaks between splits."""

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence

from trainer.data.refusals import numbered, refusal
from trainer.data.rows import CHOICES, SPLITS, Row, Split

CONFLICTS_REFUSED_ABOVE = 0.05

Named = Callable[[Row], Sequence[str]]
"""The labels that a row names."""


def check_inputs(rows: Sequence[Row], inputs: Sequence[str]) -> None:
    """Refuse an empty input.

    Raises:
        DataRefusedError: with the first row in which one of `inputs` holds nothing but spaces and invisibles.
    """
    for row in rows:
        for role in inputs:
            if is_empty(row.values[role]):
                raise refusal(row.source, row.line, f"the {role} is empty{_all_choices(role, inputs)}")


def check_choices(roles: Collection[str], source: str, line: int | None) -> None:
    """Refuse choices that are not numbered from 0 without a gap, and a single one.

    Raises:
        DataRefusedError: which column is missing.
    """
    numbers = [place for place, role in enumerate(CHOICES) if role in roles]
    wanted = range(max(2, len(numbers))) if numbers else ()
    missing = [CHOICES[number] for number in wanted if number not in numbers]
    if missing:
        raise refusal(source, line, f"choices are columns choice_0, choice_1, ...: {missing[0]} is missing")


def _all_choices(role: str, inputs: Sequence[str]) -> str:
    if role not in CHOICES:
        return ""
    last = [one for one in inputs if one in CHOICES][-1]
    return f"; every row needs all of {CHOICES[0]} to {last}"


def is_empty(text: str) -> bool:
    """Whether nothing of the text can be seen."""
    return not text.strip() or all(
        character.isspace() or unicodedata.category(character) in ("Cc", "Cf") for character in text
    )


def repeats(rows: Sequence[Row], inputs: Sequence[str], named: Named | None) -> list[str]:
    """What to say of equal inputs: repeated rows are kept, contradicting labels are named.

    Args:
        named: of kinds with labels.

    Raises:
        DataRefusedError: more than 5 % of the rows contradict another one.
    """
    first: dict[tuple[str, ...], Row] = {}
    again: list[Row] = []
    torn: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        key = tuple(unicodedata.normalize("NFC", row.values[role]) for role in inputs)
        earlier = first.setdefault(key, row)
        if earlier is row:
            continue
        if named is None or {*named(earlier)} == {*named(row)}:
            again.append(row)
        else:
            torn.setdefault(key, [earlier]).append(row)
    found = []
    if again:
        found.append(
            f"{_rows(len(again))} repeat an earlier one and are kept (first: {_place(again[0], rows)})"
        )
    if torn:
        found.append(_conflicts(rows, torn))
    return found


def _conflicts(rows: Sequence[Row], torn: dict[tuple[str, ...], list[Row]]) -> str:
    shown = "; ".join(" and ".join(_place(row, rows) for row in same[:2]) for same in list(torn.values())[:3])
    involved = sum(map(len, torn.values()))
    says = f"{_rows(involved)} have the text of another but a different label: {shown}"
    if involved > CONFLICTS_REFUSED_ABOVE * len(rows):
        same = next(iter(torn.values()))
        raise refusal(
            same[1].source, same[1].line, f"{says}; more than 5 % of all, so decide on one label for each"
        )
    return says


def leaks(rows: Sequence[Row], positions: Sequence[int]) -> list[str]:
    """Texts that two splits share, which happens only where both were given; they are kept."""
    places = {
        split: {place for row, place in zip(rows, positions, strict=True) if row.split == split}
        for split in SPLITS
    }
    pairs: tuple[tuple[Split, Split], ...] = (
        ("validation", "train"), ("test", "train"), ("test", "validation"),
    )  # fmt: skip
    found = []
    for part, other in pairs:
        common = places[part] & places[other]
        if not common:
            continue
        shared = [
            row for row, place in zip(rows, positions, strict=True) if row.split == part and place in common
        ]
        found.append(
            f"{_rows(len(shared))} of {part} have a text that is also in {other}"
            f" (first: {_place(shared[0], rows)})"
        )
    return found


def label_in_text(
    rows: Sequence[Row], inputs: Sequence[str], labels: Sequence[str], named: Named
) -> list[str]:
    """Warn when more than 95 % of the rows contain their own labels, as words, and no other one."""
    by_length = sorted({label.casefold() for label in labels}, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, by_length))})(?!\w)")
    without = 0
    for row in rows:
        seen = {found for role in inputs for found in pattern.findall(row.values[role].casefold())}
        if seen != {label.casefold() for label in named(row)}:
            without += 1
            if without * 20 >= len(rows):
                return []
    return [f"the text names its own label in {len(rows) - without:,} of {_rows(len(rows))}: is it meant to?"]


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _place(row: Row, rows: Sequence[Row]) -> str:
    """The line, with the file where the rows come from several."""
    return (
        numbered(row.source, row.line)
        if row.source == rows[0].source == rows[-1].source
        else f"{row.source}, {numbered(row.source, row.line)}"
    )
