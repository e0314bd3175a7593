"""Labels are names that people compare by eye: look-alikes, and what cannot be seen in them, are refused."""

import unicodedata
from collections.abc import Iterable, Sequence

from trainer.data.refusals import listed, numbered, quoted, refusal
from trainer.data.rows import Row

MAX_LABEL = 128
"""Characters in one label."""
MAX_LABELS = 1000
FEW_ROWS = 20

# Letters of other scripts that look like a Latin one (a part of Unicode's confusables.txt): Cyrillic, Greek.
_LOOKALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb\u051b\u051d"
    "\u0410\u0412\u0415\u0417\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0408\u0405"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
    "\u03bf\u03bd\u03c1\u03b1\u03b9\u03c5\u0131",
    "aeopcyxijsdhqwABE3KMHOPCTYXIJSABEZHIKMNOPTYXovpaiui",
)
# Characters that draw nothing although Unicode calls them letters or marks.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_SELECTORS = dict.fromkeys(range(65024, 65040))


def check_labels(rows: Sequence[Row], target: str = "label") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels of classification rows, sorted, and what was noticed about them.

    Raises:
        DataRefusedError: an empty, overlong or unprintable label, two that look alike, fewer than 2 or more
            than 1000 labels, or a label with a single row.
    """
    first: dict[str, Row] = {}
    counts: dict[str, int] = {}
    for row in rows:
        label = row.values[target]
        if label not in first:
            _check_label(label, row, target)
            first[label] = row
            if len(first) > MAX_LABELS:
                raise refusal(
                    row.source, row.line, f"more than {MAX_LABELS:,} different labels, the most there can be"
                )
        counts[label] = counts.get(label, 0) + 1
    _check_counts(rows, first, counts)
    _check_distinct(first)
    return tuple(sorted(first)), (*_few_rows(counts), *_odd_spelling(first))


def _check_label(label: str, row: Row, target: str) -> None:
    if not label.strip():
        raise refusal(row.source, row.line, f"the {target} is empty")
    if len(label) > MAX_LABEL:
        raise refusal(
            row.source,
            row.line,
            f"the label {quoted(label)} has {len(label):,} characters, more than {MAX_LABEL}",
        )
    for character in label:
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") or character in _BLANK:
            raise refusal(
                row.source, row.line,
                f"the label {quoted(label)} holds the invisible character U+{ord(character):04X}; remove it",
            )  # fmt: skip


def _check_counts(rows: Sequence[Row], first: dict[str, Row], counts: dict[str, int]) -> None:
    source = rows[0].source if rows else ""
    if len(first) == 1:
        raise refusal(
            source,
            None,
            f"every row has the label {quoted(next(iter(first)))}; at least two labels are needed",
        )
    for label, count in counts.items():
        if count == 1:
            row = first[label]
            raise refusal(
                row.source, row.line, f"the label {quoted(label)} has only this row; each needs at least 2"
            )


def _check_distinct(first: dict[str, Row]) -> None:
    seen: dict[str, str] = {}
    for label, row in first.items():
        other = seen.setdefault(_appearance(label), label)
        if other != label:
            place = numbered(first[other].source, first[other].line)
            raise refusal(
                row.source, row.line,
                f"the label {label!a} looks like {other!a} ({place}) but is spelt with other"
                " characters; write one of them everywhere",
            )  # fmt: skip


def _appearance(label: str) -> str:
    """What the eye sees: normalised, other scripts' twins made Latin, spacing evened out."""
    plain = unicodedata.normalize("NFKC", label.translate(_SELECTORS)).translate(_LOOKALIKES)
    return " ".join(plain.split())


def _few_rows(counts: dict[str, int]) -> list[str]:
    few = sorted((count, label) for label, count in counts.items() if count < FEW_ROWS)
    if not few:
        return []
    shown = ", ".join(f"{quoted(label)} ({count})" for count, label in few[:5])
    more = f" and {len(few) - 5:,} more" if len(few) > 5 else ""
    return [f"fewer than {FEW_ROWS} rows for the labels {shown}{more}"]


def _odd_spelling(labels: Iterable[str]) -> list[str]:
    found = []
    by_case: dict[str, list[str]] = {}
    for label in labels:
        by_case.setdefault(label.casefold(), []).append(label)
        if label != label.strip():
            found.append(f"the label {quoted(label)} begins or ends with a space, which is kept")
        if label.translate(_LOOKALIKES) != label and any(c.isascii() and c.isalpha() for c in label):
            found.append(f"the label {label!a} mixes Latin letters with look-alikes of other scripts")
    found += [
        f"labels that differ only in case: {listed(same)}" for same in by_case.values() if len(same) > 1
    ]
    return found
