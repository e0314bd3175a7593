"""What comes out of a layer, bent by a narrow network of one hidden layer: parts `down (outputs, rank)`,
`down_bias (rank)`, `up (rank, outputs)` and `up_bias (outputs)`, the last two scaled."""

import torch
from torch import Tensor

from trainer.forms import Parts


def apply(x: Tensor, output: Tensor, parts: Parts) -> Tensor:
    """`output + relu(output down + down_bias) up + up_bias`."""
    bias, up, up_bias = (parts[name] for name in ("down_bias", "up", "up_bias"))
    inner = torch.relu(output @ parts["down"] + bias.unsqueeze(-2))
    if torch.is_grad_enabled():
        return output + inner @ up + up_bias.unsqueeze(-2)
    output.add_(up_bias.unsqueeze(-2))
    # The product is added while it is computed.
    if up.ndim == 2:
        return output.add_(inner @ up)
    return output.baddbmm_(inner.to(output.dtype), up.to(output.dtype))
