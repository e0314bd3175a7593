"""Heads taken apart by what they read, and put together again."""

from dataclasses import replace

import torch

from tests.trainer.samples import QUICK
from trainer.base_model import BaseModel
from trainer.blocks import apart, together, words
from trainer.experts import design, head_reads
from trainer.layouts import Architecture


def architecture(base: BaseModel, **changes: object) -> Architecture:
    made = design(
        base,
        task_kind="classification",
        labels=("no", "yes"),
        adapter="tt_lora",
        preset="default",
        rank=2,
        alpha=None,
        first_layer=1,
        max_length=QUICK.max_length,
    )
    return replace(made, **changes)


def test_a_head_apart_says_what_it_says_whole(llama: BaseModel) -> None:
    draw = torch.Generator().manual_seed(0)
    final, mask = llama.layers, torch.tensor([[1, 1, 1], [1, 1, 0]])
    states = {layer: torch.randn(2, 3, llama.hidden, generator=draw) for layer in (1, final)}
    for own in (architecture(llama, pooling=0), architecture(llama, head_layers=(1, final))):
        weight = torch.randn(2, own.head_inputs(llama.hidden), generator=draw)
        pooled = {
            layer: head_reads(architecture(llama, head_layers=(layer,)), each, states, mask).view(2, 2, -1)
            for layer, each in states.items()
        }
        whole = head_reads(own, pooled[final], states, mask) @ weight.T
        blocks = apart(own, weight, final)
        assert torch.allclose(words(blocks, pooled), whole, atol=1e-4)
        layers, pooling, joined = together(blocks, final)
        assert layers == own.head_layers
        assert torch.equal(joined, weight)
        assert layers or pooling == own.pooling


def test_blocks_of_several_layers_become_the_smallest_head_that_has_them(llama: BaseModel) -> None:
    block, final = torch.ones(2, llama.hidden), llama.layers
    assert together({(final, 1): block}, final)[:2] == ((), 1)
    assert together({(1, 1): block}, final)[0] == (1,)
    layers, _, weight = together({(final, 1): block, (1, 0): 2 * block}, final)
    assert layers == (1, final)
    assert weight.view(2, 2, 2, -1).mean((0, 3)).tolist() == [[2.0, 0.0], [0.0, 1.0]]
