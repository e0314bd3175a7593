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
    return output.add_(inner @ up) if up.ndim == 2 else output.baddbmm_(inner, up)
