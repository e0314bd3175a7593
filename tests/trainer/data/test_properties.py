"""Any rows survive being written and read; damaged ones are read as they stand, or refused with the line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.errors import DataRefusedError
from tests.trainer.data.properties import PROPERTIES, reading

QUICK = settings(derandomize=True, database=None, max_examples=250, deadline=None)


@pytest.mark.parametrize("check", PROPERTIES, ids=lambda check: check.__name__)
def test_it_holds_of_any_rows_and_any_damage_that(check: Callable[..., None], tmp_path: Path) -> None:
    @QUICK
    @given(st.tuples(*PROPERTIES[check]))
    def holds(arguments: tuple[object, ...]) -> None:
        check(tmp_path, *arguments)

    holds()


def test_a_refusal_is_not_another_error_in_disguise(tmp_path: Path) -> None:
    with pytest.raises(DataRefusedError) as caught:
        reading(tmp_path, b"\xff")
    assert caught.value.__suppress_context__
