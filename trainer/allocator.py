"""When freed memory goes back to the system: not between training steps, but after many experts were read.

glibc gives freed memory back as soon as enough of it lies together at the end, and a training step frees all
it took: then each step pays again for every page. On a CPU this was 12 % of the time. Many experts are the
other extreme: they are read in the midst of a forward, and what of them stays lies between what becomes free,
which glibc then keeps.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # Numbers that <malloc.h> gives these settings.

_LARGEST = 32 << 20
"""Blocks above this always come from the system; glibc allows no more."""


@contextmanager
def kept() -> Iterator[None]:
    """Keep freed memory within the block; give it back at its end. Does nothing where there is no glibc."""
    libc = _glibc()
    if libc is None:
        yield
        return
    libc.mallopt(_MMAP_THRESHOLD, _LARGEST)
    libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        libc.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST)  # What glibc itself arrives at with such blocks.
        libc.malloc_trim(0)


def give_back() -> None:
    """Give back every page that holds nothing any more, wherever it lies. Takes milliseconds, and whoever
    needs the memory again pays for the pages. Does nothing where there is no glibc."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
