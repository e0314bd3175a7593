"""Heat maps: a field for each row and column, with its number in it."""

from collections.abc import Callable, Sequence

from ui.plots.markup import LETTER, document, tag, text

WIDE, HIGH = 38, 24
SIZE = 11
PALE, STRONG = (226, 236, 245), (11, 93, 148)
"""Colours of 0 and 1."""


def draw(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    said: Callable[[int, int], str],
    title: str,
    x: str,
    y: str,
) -> bytes:
    """Shares of 0 to 1 as the strength of one colour; nothing where there is none.

    Args:
        said: the text of the field at a row and a column.
        x, y: what columns and rows are.
    """
    letters = max(map(len, columns), default=0)
    turned = letters * LETTER * SIZE > WIDE
    left = 16 + LETTER * SIZE * max([len(y), *map(len, rows)])
    top = 48 + (LETTER * SIZE * letters if turned else SIZE)
    width = max(left + WIDE * len(columns), left + LETTER * SIZE * len(x), 13 * LETTER * len(title)) + 12
    parts = [
        text(title, 8, 18, 13, font_weight=600),
        text(x, left, 38, SIZE),
        text(y, left - 8, top - 8, SIZE, text_anchor="end"),
    ]
    for place, name in enumerate(columns):
        parts.append(_column(name, left + WIDE * (place + 0.5), top - 8, turned))
    for row, line in enumerate(values):
        below = top + HIGH * row
        parts.append(text(rows[row], left - 8, below + HIGH / 2 + 4, SIZE, text_anchor="end"))
        parts += [
            _field(left + WIDE * column, below, value, said(row, column))
            for column, value in enumerate(line)
            if value is not None
        ]
    return document(width, top + HIGH * len(rows) + 12, parts, title)


def _column(name: str, x: float, y: float, turned: bool) -> str:
    if not turned:
        return text(name, x, y, SIZE, text_anchor="middle")
    return text(name, x + 4, y, SIZE, transform=f"rotate(-90 {x + 4:.1f} {y:.1f})")


def _field(x: float, y: float, value: float, said: str) -> str:
    """An opaque box, so that its number stands out on any ground."""
    strength = min(1.0, max(0.0, value))
    red, green, blue = (round(a + (b - a) * strength) for a, b in zip(PALE, STRONG, strict=True))
    box = tag(
        "rect",
        x=f"{x + 1:.0f}",
        y=f"{y + 1:.0f}",
        width=WIDE - 2,
        height=HIGH - 2,
        fill=f"#{red:02x}{green:02x}{blue:02x}",
    )
    ink = "#ffffff" if strength > 0.55 else "#14202b"
    return box + text(said, x + WIDE / 2, y + HIGH / 2 + 4, SIZE, text_anchor="middle", fill=ink)
