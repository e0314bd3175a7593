"""Denormal numbers count as zero while the model runs, and only then.

Attention weights underflow into denormal numbers, which a CPU multiplies many times more slowly than others:
without this training ran at little more than half speed. The switch belongs to a thread, and other code of
the process may rely on denormals, so it is put back. Worker threads that torch starts meanwhile keep it; they
only ever compute for torch.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def are_flushed() -> bool:
    """Whether this thread takes denormal numbers for zero."""
    return sys.float_info.min / 2 == 0.0


@contextmanager
def flushed() -> Iterator[None]:
    """Take denormal numbers for zero, in this thread, within the block."""
    before = are_flushed()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
