"""How sure a measured share is."""

import math

# Two-sided 95 %.
_Z = 1.959964


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share that was measured on `count` rows (Wilson 1927).

    It holds for few rows and near 0 and 1, where the textbook's `share +- 2 sigma` leaves what is possible.
    """
    if count < 1:
        return 0.0, 1.0
    spread = _Z * _Z / count
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    # Nothing but the arithmetic of computers keeps the ends of 0 and 1 from being exactly those.
    low = 0.0 if share == 0 else max(0.0, middle - half)
    return low, 1.0 if share == 1 else min(1.0, middle + half)


def measured(metric: str, value: float, examples: int) -> dict[str, object]:
    """A measure as a document: `{"metric", "value", "rows", "low", "high"}`; the interval of a share only."""
    low, high = wilson(value, examples) if is_share(metric) else (None, None)
    return {"metric": metric, "value": value, "rows": examples, "low": low, "high": high}


def is_share(metric: str) -> bool:
    """Whether a metric counts rows that are right."""
    return metric.endswith(("accuracy", "exact_match", "coverage"))


def percent(value: float | None) -> str:
    """A share for people: 0.8125 -> "81.2 %"."""
    return "-" if value is None else f"{100 * value:.1f} %"


def measure(value: float | None, score: str | None) -> str:
    """A score for people: a share as per cent, another number under its name."""
    if value is None or score is None or is_share(score):
        return percent(value)
    return f"{score.replace('_', ' ')} {value:.3f}"


def with_interval(found: dict[str, object] | None) -> str:
    """A measure for people: "81.2 % (77.0 to 84.9)"."""
    if found is None:
        return "-"
    value, low, high = found["value"], found["low"], found["high"]
    assert isinstance(value, float)
    if not isinstance(low, float) or not isinstance(high, float):
        return f"{value:.3f}"
    return f"{percent(value)} ({100 * low:.1f} to {100 * high:.1f})"
