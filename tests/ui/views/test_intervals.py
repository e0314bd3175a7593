"""How sure a measured share is."""

import pytest

from ui.views.intervals import measured, wilson, with_interval


@pytest.mark.parametrize(
    ("share", "count", "low", "high"),
    [
        # Textbook values: Agresti and Coull (1998), and the closed forms at the ends.
        (0.0, 10, 0.0, 0.27753),
        (1.0, 10, 0.72247, 1.0),
        (0.5, 10, 0.23659, 0.76341),
        (0.9, 100, 0.82563, 0.94477),
        (0.25, 10_000, 0.24162, 0.25858),
    ],
)
def test_the_wilson_interval(share: float, count: int, low: float, high: float) -> None:
    assert wilson(share, count) == pytest.approx((low, high), abs=2e-5)


def test_nothing_measured_may_be_anything() -> None:
    assert wilson(0.0, 0) == (0.0, 1.0)


def test_only_shares_have_an_interval() -> None:
    assert with_interval(measured("accuracy", 1.0, 10)) == "100.0 % (72.2 to 100.0)"
    assert measured("spearman", 0.5, 10) == {
        "metric": "spearman",
        "value": 0.5,
        "rows": 10,
        "low": None,
        "high": None,
    }
    assert with_interval(measured("spearman", 0.5, 10)) == "0.500"
    assert with_interval(None) == "-"
