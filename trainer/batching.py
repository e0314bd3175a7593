"""How texts become batches: of about equal length, as many tokens each as run best together, and fewer where
memory is short."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import torch

from registry.errors import InvalidSettingError

Item = TypeVar("Item")
Result = TypeVar("Result")

CPU_TOKENS = 2048
"""Tokens of one batch, padding included. More gain nothing once the cores are busy."""
GPU_TOKENS = 32_768

_ALLOCATORS = ("DefaultCPUAllocator", "not enough memory", "std::bad_alloc", "out of memory")


def windows(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in their order, so many at a time."""
    each = iter(items)
    while window := list(islice(each, size)):
        yield window


def by_tokens(sizes: Sequence[int], counts: Sequence[int], tokens: int, rows: int) -> list[list[int]]:
    """Row numbers in batches of about equal length, longest first.

    Args:
        sizes: tokens of each row's longest sequence; counts: how many sequences it is.
        tokens: of one batch, padding included, unless a row alone has more.
        rows: the most that one batch may have.
    """
    batches: list[list[int]] = []
    longest = sequences = 0
    for row in sorted(range(len(sizes)), key=lambda row: -sizes[row]):
        if batches and len(batches[-1]) < rows and (sequences + counts[row]) * longest <= tokens:
            batches[-1].append(row)
        else:
            batches.append([row])
            longest, sequences = max(1, sizes[row]), 0
        sequences += counts[row]
    return batches


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that an allocation failed, on any device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(name in str(error) for name in _ALLOCATORS)


class Halving:
    """Runs batches, and halves those for which memory does not suffice; later ones stay as small.

    Attributes:
        most: rows of a batch from now on; None while memory sufficed.
    """

    def __init__(self) -> None:
        self.most: int | None = None

    def run(self, rows: Sequence[Item], work: Callable[[Sequence[Item]], list[Result]]) -> list[Result]:
        """The results of `work`, in the order of the rows.

        Raises:
            InvalidSettingError: memory does not suffice for one row.
        """
        if self.most is not None and len(rows) > self.most:
            size = self.most  # It may be halved again on the way.
            return [
                found
                for start in range(0, len(rows), size)
                for found in self.run(rows[start : start + size], work)
            ]
        try:
            return work(rows)
        except (RuntimeError, MemoryError) as error:
            if not lacks_memory(error):
                raise
            if len(rows) == 1:
                raise InvalidSettingError(
                    "not enough memory for a single text: free some, or give the experts less of it"
                ) from error
        # Outside the handler, so that the failed attempt's tensors are gone by now.
        self.most = len(rows) // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return self.run(rows, work)
