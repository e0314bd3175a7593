"""What the card of a generation says in words."""

import pytest

from ui.browser.generation_card import when_none_fits

FIT = {"kind": "states", "coverage": 0.98, "threshold": 1.25, "rows": 480}


@pytest.mark.parametrize(
    ("fit", "settings", "said"),
    [
        (FIT, {"seed": 0}, "above a score of 1.250, which 98.0 % of 480 held-out rows stay below"),
        ({**FIT, "threshold": None, "rows": 9}, {}, "never: 9 held-out rows are too few to tell"),
        (None, {"seed": 0}, "never: an earlier release made it"),
        (None, {"corpus": {"source": "texts.csv"}}, "never: all of its experts answer together"),
    ],
)
def test_a_card_says_from_where_on_no_expert_fits(
    fit: dict[str, object] | None, settings: dict[str, object], said: str
) -> None:
    assert when_none_fits({"fit": fit, "settings": settings}) == said
