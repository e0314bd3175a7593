"""A gate on the state of every token, which gives each its own shares of all experts (L-MoE, arXiv
2510.17898, made exact).

At each linear layer a token gets `sum_e w_e update_e(x)`, for low-rank updates the one LoRA whose factors are
those of all experts side by side. The paper's means `(sum_e w_e A_e) (sum_e w_e B_e)` are another operator,
which depends on how each expert happens to be factored. The gate learns end to end, from what the mixture
answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.routers import Features, Routing


@dataclass(frozen=True, kw_only=True)
class Config:
    """How many experts each token mixes."""

    top_k: int | None = None
    """None: all of them. Of one alone the weight would be 1, and a gate would have nothing to learn from."""


class Router(nn.Module):
    """A linear gate for each layer read, on states of mean 0 and variance 1: `layers * slots * (hidden + 1)`
    parameters."""

    def __init__(self, config: Config, shape: Sequence[int], slots: int) -> None:
        super().__init__()
        self.count = min(config.top_k or slots, slots)
        self.weight = nn.Parameter(torch.zeros(shape[0], slots, shape[-1]))
        self.bias = nn.Parameter(torch.zeros(shape[0], slots))

    def start(self, seed: int) -> "Router":
        """Begin near equal shares, but not at them: of equal ones the best few would stay the same few."""
        nn.init.normal_(self.weight, std=0.002, generator=torch.Generator().manual_seed(seed))
        return self

    @torch.no_grad()
    def begin(self, place: int, weight: Tensor, bias: Tensor) -> None:
        """Begin at one of the layers read with what is known of the experts, beside what `start` drew."""
        self.weight[place] += weight.to(self.weight)
        self.bias[place] += bias.to(self.bias)

    def forward(self, features: Features) -> Routing:
        """The mean over all layers read."""
        assert features.states is not None
        every = [self.at(place, states) for place, states in enumerate(features.states.unbind(1))]
        weights = torch.stack([one.weights for one in every]).mean(0)
        return Routing(weights, weights.clamp_min(torch.finfo(weights.dtype).tiny).log())

    def at(self, place: int, states: Tensor) -> Routing:
        """Softmax of the scores, or of the best few, at one of the layers read."""
        logits = functional.linear(self.normal(states), self.weight[place], self.bias[place])
        best = logits.topk(self.count, -1)
        kept = torch.full_like(logits, -torch.inf).scatter(-1, best.indices, best.values)
        return Routing(kept.softmax(-1), logits)

    def normal(self, states: Tensor) -> Tensor:
        """States of mean 0 and variance 1 each, in which the gate is linear."""
        return functional.layer_norm(states.to(self.weight.dtype), states.shape[-1:])

    def balance(self, routing: Routing, mask: Tensor) -> Tensor:
        """How unevenly tokens use the experts: `slots * sum_e f_e p_e` with the share `f` of tokens that
        choose an expert and its mean probability `p` (arXiv 2101.03961); 1 where all are used alike.

        Args:
            mask: `(batch, length)`, 0 where there is padding.
        """
        slots, own = routing.logits.shape[-1], routing.logits[mask.bool()]
        count = self.count if self.count < slots else 1
        chosen = torch.zeros_like(own).scatter(-1, own.topk(count, -1).indices, 1.0).mean(0) / count
        return slots * (chosen * own.softmax(-1).mean(0)).sum()
