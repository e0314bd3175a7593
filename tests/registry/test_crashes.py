"""`kill -9` at every step: what was said to be done stays, and running again works."""

from collections.abc import Callable
from typing import Any

from tests.registry.crash import PUBLISH

ROUNDS = 2
EVERY = 4  # The full measure is `python -m tests.registry.crash`: every statement, 50 rounds.


def test_killed_anywhere_while_publishing_nothing_dangles_and_no_version_is_skipped(
    measured: Callable[..., dict[str, Any]],
) -> None:
    figures = measured("tests.registry.crash", "publishing", "--rounds", str(ROUNDS))
    kills = ROUNDS * len(PUBLISH) * len(("expert", "generation"))
    assert figures == {"publishing": {"kills": kills, "problems": 0, "gaps": 0, "lost": 0}}


def test_killed_anywhere_while_making_a_home_the_next_start_makes_it(
    measured: Callable[..., dict[str, Any]],
) -> None:
    figures = measured("tests.registry.crash", "making", "--every", str(EVERY))["making"]
    assert figures.pop("kills") > 10
    assert figures == {"problems": 0}


def test_killed_anywhere_while_migrating_all_is_as_before_and_the_next_try_succeeds(
    measured: Callable[..., dict[str, Any]],
) -> None:
    figures = measured("tests.registry.crash", "migrating", "--every", str(EVERY))["migrating"]
    assert figures.pop("kills") > 10
    assert figures == {"half_migrated": 0, "changed": 0}
