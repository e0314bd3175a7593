"""Batches of equal length, and smaller ones where memory is short."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import InvalidSettingError
from trainer.batching import Halving, by_tokens, lacks_memory, windows


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 5))), st.integers(1, 500), st.integers(1, 9))
def test_every_row_is_in_one_batch_that_is_no_larger_than_asked(
    shapes: list[tuple[int, int]], tokens: int, rows: int
) -> None:
    sizes, counts = [size for size, _ in shapes], [count for _, count in shapes]
    batches = by_tokens(sizes, counts, tokens, rows)
    assert sorted(row for batch in batches for row in batch) == list(range(len(sizes)))
    for batch in batches:
        assert len(batch) <= rows
        sequences = sum(counts[row] for row in batch)
        assert len(batch) == 1 or sequences * max(sizes[row] for row in batch) <= tokens
    ordered = [sizes[row] for batch in batches for row in batch]
    assert ordered == sorted(ordered, reverse=True)


def test_windows_hold_the_items_in_order() -> None:
    assert list(windows(iter(range(7)), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(windows([], 3)) == []


@given(st.lists(st.integers(1, 40), max_size=12), st.integers(1, 20))
def test_rows_too_many_for_memory_come_back_in_order(sizes: list[int], enough: int) -> None:
    def work(rows: list[int]) -> list[int]:
        # What no machine has.
        torch.empty(1 << 60) if len(rows) > enough else None
        return [row * 2 for row in rows]

    halving = Halving()
    for size in sizes:
        assert halving.run(range(size), work) == [row * 2 for row in range(size)]
    assert halving.most is None or halving.most <= max(sizes) // 2


def test_a_single_text_that_memory_does_not_suffice_for_is_refused() -> None:
    with pytest.raises(InvalidSettingError, match="not enough memory for a single text"):
        Halving().run([1, 2, 3], lambda rows: [torch.empty(1 << 60)])


def test_other_errors_are_not_taken_for_lack_of_memory() -> None:
    def work(rows: list[int]) -> list[int]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        Halving().run([1, 2], work)
    assert not lacks_memory(ValueError("out of memory"))
    assert lacks_memory(MemoryError())
    assert lacks_memory(torch.OutOfMemoryError())
