"""Which rows train, which choose, which test: as given, or by the hash of the text.

A row's place is decided by its own text alone, so neither new rows nor another order move it, and equal
texts are never parted. Two guarantees may overrule the hash, and do so only in data too small for it: a label
no row of which falls into train keeps the lowest of them there, and a validation or test part that came out
empty gets the tenth of the texts that lie highest in train. Such a row returns to its own place once enough
rows have been added. (No rule could keep both guarantees and never move a row whatever the order: a label's
only row must train, so every row would have to train for ever.)
"""

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from trainer.data.refusals import quoted, refusal
from trainer.data.rows import Row, Split

ALIASES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "development": "validation",
    "test": "test",
    "testing": "test",
}
"""What a `split` column may say, in any case."""

_SPACE = 2**64
VALIDATION_FROM = _SPACE * 8 // 10
TEST_FROM = _SPACE * 9 // 10


def named_split(value: str, source: str, line: int) -> Split:
    """The split that a cell of the `split` column names."""
    split = ALIASES.get(value.strip().casefold())
    if split is None:
        raise refusal(source, line, f"the split {quoted(value)} is none of train, validation, test")
    return split


def position(texts: Iterable[str]) -> int:
    """Where a row lies in [0, 2^64), by the SHA-256 of its texts without regard to case and spacing."""
    plain = "\x1f".join(" ".join(unicodedata.normalize("NFC", text).casefold().split()) for text in texts)
    return int.from_bytes(hashlib.sha256(plain.encode("utf-8")).digest()[:8], "big")


def assign_splits(
    positions: Sequence[int], labels: Sequence[Sequence[str]] | None, missing: Sequence[Split]
) -> list[Split] | None:
    """The split of each row when those in `missing` have to come out of these rows.

    Eight tenths of the positions train, the ninth is for validation, the tenth for test; where one of the two
    was given, its tenth trains too. `labels`, those of each row (None for kinds without), makes sure that
    each appears in train.
    Returns None when the rows are too few for every part to get one.
    """
    splits = [_natural(place, missing) for place in positions]
    names: Sequence[Sequence[str]] = labels if labels is not None else [("",)] * len(positions)
    _keep_labels_in_train(splits, positions, names)
    for split in missing:
        if split not in splits and not _fill(splits, split, positions, names):
            return None
    return splits


def _natural(place: int, missing: Sequence[Split]) -> Split:
    if place >= TEST_FROM:
        return "test" if "test" in missing else "train"
    if place >= VALIDATION_FROM:
        return "validation" if "validation" in missing else "train"
    return "train"


def _keep_labels_in_train(
    splits: list[Split], positions: Sequence[int], labels: Sequence[Sequence[str]]
) -> None:
    trained = {label for own, split in zip(labels, splits, strict=True) if split == "train" for label in own}
    lowest: dict[str, int] = {}
    for own, place in zip(labels, positions, strict=True):
        for label in own:
            if label not in trained:
                lowest[label] = min(place, lowest.get(label, _SPACE))
    _move(splits, positions, set(lowest.values()), "train")


def _fill(
    splits: list[Split], split: Split, positions: Sequence[int], labels: Sequence[Sequence[str]]
) -> bool:
    """Give an empty part about a tenth of the texts, from train or else from the other part."""
    places = _spare(splits, positions, labels, max(1, round(len(set(positions)) / 10)))
    if not places:
        others = {place for place, current in zip(positions, splits, strict=True) if current != "train"}
        places = {max(others)} if len(others) > 1 else set()
    _move(splits, positions, places, split)
    return bool(places)


def _spare(
    splits: list[Split], positions: Sequence[int], labels: Sequence[Sequence[str]], wanted: int
) -> set[int]:
    """At most `wanted` texts of train, highest first, never the last one of a label."""
    texts_of: dict[str, set[int]] = defaultdict(set)
    labels_of: dict[int, set[str]] = defaultdict(set)
    for own, place, current in zip(labels, positions, splits, strict=True):
        if current == "train":
            for label in own:
                texts_of[label].add(place)
            labels_of[place].update(own)
    spare: set[int] = set()
    for place in sorted(labels_of, reverse=True):
        if len(spare) < wanted and all(len(texts_of[label]) > 1 for label in labels_of[place]):
            spare.add(place)
            for label in labels_of[place]:
                texts_of[label].remove(place)
    return spare


def _move(splits: list[Split], positions: Sequence[int], places: set[int], split: Split) -> None:
    if places:
        splits[:] = [
            split if place in places else current for place, current in zip(positions, splits, strict=True)
        ]


def check_labels_in_train(rows: Sequence[Row], named: Callable[[Row], Sequence[str]]) -> None:
    """Refuse a label that validation or test has and train lacks.

    Raises:
        DataRefusedError: with the first such row.
    """
    trained = {label for row in rows if row.split == "train" for label in named(row)}
    for row in rows:
        for label in named(row):
            if label not in trained:
                raise refusal(
                    row.source, row.line, f"the label {quoted(label)} is in {row.split} but in no train row"
                )
