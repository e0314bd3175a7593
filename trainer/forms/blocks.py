"""The update as a matrix that is zero but for some blocks: parts `values (blocks, height, width)`, scaled,
and where each block begins in that matrix `(inputs, outputs)`: `rows (blocks)`, `columns (blocks)`."""

import torch
from torch import Tensor

from trainer.forms import Parts


def apply(x: Tensor, output: Tensor, parts: Parts) -> Tensor:
    """`output + x D`, touching only what the blocks read and write."""
    values = parts["values"]
    rows = _places(parts["rows"], values.shape[-2], x.shape[-1])
    columns = _places(parts["columns"], values.shape[-1], output.shape[-1])
    if values.ndim == 3:
        read = x.index_select(-1, rows).unflatten(-1, values.shape[:2])
        update = torch.einsum("...ni,nio->...no", read, values).flatten(-2).to(output.dtype)
        if torch.is_grad_enabled():
            return output.index_add(-1, columns, update)
        return output.index_add_(-1, columns, update)
    length = x.shape[1]
    read = x.gather(2, rows[:, None].expand(-1, length, -1)).unflatten(-1, values.shape[1:3])
    update = torch.einsum("blni,bnio->blno", read, values).flatten(-2).to(output.dtype)
    columns = columns[:, None].expand(-1, length, -1)
    if torch.is_grad_enabled():
        return output.scatter_add(2, columns, update)
    return output.scatter_add_(2, columns, update)


def _places(starts: Tensor, size: int, most: int) -> Tensor:
    """The places of all blocks one after the other, `(..., blocks * size)`.

    A block that is padded may reach over the edge: there its values are zero, so any place will do.
    """
    steps = torch.arange(size, device=starts.device)
    return (starts[..., None] + steps).clamp_(0, most - 1).flatten(-2)
