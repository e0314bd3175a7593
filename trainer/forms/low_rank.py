"""The update as two thin matrices: parts `a (inputs, rank)` and `b (rank, outputs)`, scaled."""

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
    return output.baddbmm_(low, b)
