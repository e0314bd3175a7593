"""The update as two thin matrices: parts `a (inputs, rank)` and `b (rank, outputs)`, scaled."""

from collections.abc import Sequence

import torch
from torch import Tensor

from trainer.forms import Parts


def apply(x: Tensor, output: Tensor, parts: Parts) -> Tensor:
    """`output + x a b`."""
    low, b = x @ parts["a"], parts["b"]
    if torch.is_grad_enabled():
        return output + low @ b
    if b.ndim == 2:
        return output.add_(low @ b)
    # The product is added while it is computed: one pass over the output instead of three.
    return output.baddbmm_(low.to(output.dtype), b.to(output.dtype))


def combine(every: Sequence[Parts], weights: Sequence[float]) -> Parts:
    """The parts whose update is the weighted sum of several updates: exact, with all their ranks."""
    return {
        "a": torch.cat([parts["a"] for parts in every], -1),
        "b": torch.cat([w * parts["b"] for parts, w in zip(every, weights, strict=True)], -2),
    }
