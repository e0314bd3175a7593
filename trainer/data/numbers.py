"""Numbers written as text: which texts are numbers, and when a column of them measures something."""

import math
import re
from collections.abc import Iterable

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def number(text: str) -> float | None:
    """The finite number that a text is the decimal notation of, or None."""
    found = float(text) if _DECIMAL.fullmatch(text.strip()) else math.nan
    return found if math.isfinite(found) else None


def measures(texts: Iterable[str], *, named: bool) -> bool:
    """Whether labels are amounts and not names: all are numbers, and one has a fraction, or the column is
    `named` as one of amounts. Whole numbers alone are more often the numbers of classes."""
    fraction = named
    for text in texts:
        found = number(text)
        if found is None:
            return False
        fraction = fraction or found != round(found)
    return fraction
