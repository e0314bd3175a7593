"""Heat maps: a field for each row and column, with its number in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ui.plots.markup import document, tag, text, width

WIDE, HIGH = 38, 24
SIZE = 11
PALE, STRONG = (226, 236, 245), (11, 93, 148)
"""Colours of 0 and 1."""


@dataclass(frozen=True)
class Layout:
    """Where the fields are: `left` and `top` of the first, in units of the picture."""

    left: float
    top: float
    rows: int
    columns: int
    turned: bool

    @classmethod
    def of(cls, rows: Sequence[str], columns: Sequence[str], *, y: str) -> "Layout":
        """Room for every name, upright where it is wider than its column."""
        longest = max((width(name, SIZE) for name in columns), default=0.0)
        turned = longest > WIDE - 4
        return cls(
            left=16 + max(width(name, SIZE) for name in (y, *rows)),
            top=58 + (longest if turned else SIZE),
            rows=len(rows),
            columns=len(columns),
            turned=turned,
        )

    def field_at(self, x: float, y: float) -> tuple[int, int | None] | None:
        """The row and column at a place of the picture; no column beside the name of a row."""
        row, column = int((y - self.top) // HIGH), int((x - self.left) // WIDE)
        if not 0 <= row < self.rows or column >= self.columns:
            return None
        return row, column if column >= 0 else None


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
    place = Layout.of(rows, columns, y=y)
    left, top = place.left, place.top
    wide = max(left + WIDE * len(columns), left + width(x, SIZE), 8 + width(title, 13)) + 12
    parts = [
        text(title, 8, 18, 13, font_weight=600),
        text(x, left, 38, SIZE),
        text(y, left - 8, top - 8, SIZE, text_anchor="end"),
    ]
    for column, name in enumerate(columns):
        parts.append(_column(name, left + WIDE * (column + 0.5), top - 8, place.turned))
    for row, line in enumerate(values):
        below = top + HIGH * row
        parts.append(text(rows[row], left - 8, below + HIGH / 2 + 4, SIZE, text_anchor="end"))
        parts += [
            _field(left + WIDE * column, below, value, said(row, column))
            for column, value in enumerate(line)
            if value is not None
        ]
    return document(wide, top + HIGH * len(rows) + 12, parts, title)


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
    ink = "#ffffff" if strength > 0.8 else "#000000"
    return box + text(said, x + WIDE / 2, y + HIGH / 2 + 4, SIZE, text_anchor="middle", fill=ink)
