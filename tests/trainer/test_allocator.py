"""Freed memory goes back to the system when it lies between what is in use, and only when it is worth it."""

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.measure import resident_bytes
from registry import Registry
from tests.trainer.pools import publish, route
from trainer import allocator
from trainer.bank import BURST
from trainer.base_model import BaseModel
from trainer.moe import MoE

BLOCK, BLOCKS = 64 << 10, 1024

libc = allocator._glibc()
pytestmark = pytest.mark.skipif(libc is None, reason="memory is given back through glibc")


@pytest.fixture
def scatter() -> Iterator[Callable[[], None]]:
    """Each call leaves 64 MiB free, behind which something stays in use."""
    assert libc is not None
    malloc, free = libc["malloc"], libc["free"]
    malloc.restype, malloc.argtypes, free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
    pins = []

    def scattered() -> None:
        *blocks, last = [malloc(BLOCK) for _ in range(BLOCKS)]
        pins.append(last)
        for block in blocks:
            ctypes.memset(block, 1, BLOCK)
        for block in blocks:
            free(block)

    yield scattered
    for pin in pins:
        free(pin)


def test_free_memory_behind_something_in_use_goes_back(scatter: Callable[[], None]) -> None:
    scatter()
    before = resident_bytes()
    allocator.give_back()
    assert resident_bytes() < before - BLOCK * BLOCKS // 2


def test_a_pool_gives_memory_back_once_it_has_read_many_experts(
    llama: BaseModel, tmp_path: Path, scatter: Callable[[], None]
) -> None:
    with Registry(tmp_path / "home") as registry:
        route(registry, llama, [publish(registry, llama, name, 0) for name in ("one", "two")], ["a", "b"])
        moe = MoE.load(registry, base=llama, budget=1)
        scatter()
        before = resident_bytes()
        for turn in range(BURST - 1):
            moe.predict(["It is so."], expert=("one", "two")[turn % 2])
        assert moe.bank.loads == BURST - 1
        assert resident_bytes() > before - BLOCK * BLOCKS // 4
        moe.predict(["It is so."], expert="two")
        assert moe.bank.loads == BURST
        assert resident_bytes() < before - BLOCK * BLOCKS // 2
        scatter()
        before = resident_bytes()
        moe.predict(["It is so."], expert="two")
        assert resident_bytes() > before - BLOCK * BLOCKS // 4
