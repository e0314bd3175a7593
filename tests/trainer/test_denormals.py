"""Denormal numbers are flushed while the model runs, and this thread is left as it was."""

from pathlib import Path

import torch

from trainer import denormals
from trainer.base_model import BaseModel
from trainer.visitors import Visitor


def test_a_block_flushes_and_puts_back_what_was():
    assert not denormals.are_flushed()
    with denormals.flushed():
        assert denormals.are_flushed()
        with denormals.flushed():
            assert denormals.are_flushed()
        assert denormals.are_flushed()
    assert not denormals.are_flushed()


def test_the_forward_flushes_and_the_process_keeps_its_denormals(tiny_llama_folder: Path):
    class Watching(Visitor):
        def __init__(self) -> None:
            self.seen: list[bool] = []

        def enter(self, layer: int, hidden: torch.Tensor) -> None:
            self.seen.append(denormals.are_flushed())

    base = BaseModel.load(str(tiny_llama_folder), device="cpu")
    watching = Watching()
    with torch.no_grad():
        base.forward(base.batch(base.tokenize(["a text"], 8)), watching)
    assert set(watching.seen) == {True}
    assert not denormals.are_flushed()
