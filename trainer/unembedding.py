"""The frozen map from a base model's final states to its words: what it writes with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional

from registry.errors import InvalidSettingError
from trainer.tokens import Batch

NAMES = ("lm_head", "embed_out")
"""What its layer is called in files where it is not the table of embeddings."""
CHUNK = 512
"""States that are looked at together in training: all their words at once would be most of the memory."""


@dataclass(frozen=True)
class Unembedding:
    """One row of `weight (words, hidden)` for each token, and `bias (words,)` where there is one."""

    weight: Tensor
    bias: Tensor | None = None

    @classmethod
    def of(cls, model: nn.Module, folder: Path) -> "Unembedding":
        """That of a model, whose files are in `folder`.

        Raises:
            InvalidSettingError: it has none.
        """
        config: Any = model.config
        embeddings: Any = model.get_input_embeddings()  # type: ignore[operator]
        if getattr(config, "tie_word_embeddings", False):
            return cls(embeddings.weight)
        found: dict[str, Tensor] = {}
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, framework="pt") as file:
                names = {*file.keys()}
                for name in NAMES:
                    for part in ("weight", "bias"):
                        if f"{name}.{part}" in names:
                            found[part] = file.get_tensor(f"{name}.{part}").to(embeddings.weight)
        if "weight" not in found:
            raise InvalidSettingError(
                f"{type(model).__name__} comes without the layer that it writes with ({' or '.join(NAMES)}): "
                "choose a base model that has it"
            )
        return cls(**found)

    def logits(self, states: Tensor) -> Tensor:
        """`(rows, words)` of `(rows, hidden)`."""
        return functional.linear(states, self.weight, self.bias)

    def surprise(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Minus the log of the probability that each state `(rows, hidden)` gives to its token `(rows,)`."""
        found: Tensor = _Surprise.apply(states, tokens, self)
        return found

    def surprises(self, head: nn.Module, final: Tensor, batch: Batch) -> Tensor:
        """`(rows, 2)`: the sum over the tokens of each row's target, and how many they are, given the final
        states `(rows, length, hidden)` and the head that words are read behind."""
        ends = batch.mask.sum(1, keepdim=True)
        steps = torch.arange(batch.ids.shape[1], device=final.device)
        # Each state tells of the token after it.
        rows, places = ((steps >= ends - batch.targets[:, None] - 1) & (steps < ends - 1)).nonzero().T
        own = self.surprise(head(final[rows, places]), batch.ids[rows, places + 1])
        return torch.stack([final.new_zeros(len(final)).index_add(0, rows, own), batch.targets], 1)


class _Surprise(torch.autograd.Function):
    """A cross-entropy that keeps one gradient for each state, not the probabilities of all words."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, tokens: Tensor, words: Unembedding) -> Tensor:
        wanted = ctx.needs_input_grad[0]
        found, gradients = [], []
        for own, right in zip(states.split(CHUNK), tokens.split(CHUNK), strict=True):
            logs = words.logits(own).log_softmax(-1)
            found.append(-logs.gather(1, right[:, None])[:, 0])
            if wanted:
                shares = logs.exp_()
                shares[torch.arange(len(right), device=shares.device), right] -= 1
                gradients.append(shares @ words.weight)
        if wanted:
            ctx.save_for_backward(torch.cat(gradients))
        return torch.cat(found)

    @staticmethod
    def backward(ctx: Any, *given: Any) -> tuple[Tensor, None, None]:
        [gradients] = ctx.saved_tensors
        return given[0][:, None] * gradients, None, None
