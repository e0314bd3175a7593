"""The stack of layers in a Hugging Face transformer: where it is, and the model from one of its layers on."""

import copy
from typing import Any

from torch import Tensor, nn

from registry.errors import InvalidSettingError


def find_stack(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """The path of the layers in the model, and the layers.

    Raises:
        InvalidSettingError: there is no list of as many layers as the config says.
    """
    lists = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.ModuleList)]
    config: Any = model.config
    depth = int(config.num_hidden_layers)
    for name, module in lists:
        if len(module) == depth:
            return name, module
    raise InvalidSettingError(
        f"{type(model).__name__} has no list of {depth} layers: not a transformer that can be adapted"
    )


def count_positions(model: nn.Module) -> int:
    """How many tokens the model can read at once."""
    config: Any = model.config
    limit = int(getattr(config, "max_position_embeddings", 512))
    for name, module in model.named_modules():
        table = name.endswith("position_embeddings") and isinstance(module, nn.Embedding)
        if table and module.padding_idx is not None:
            # RoBERTa's positions begin behind the padding token's.
            return limit - int(module.padding_idx) - 1
    return limit


def upper_part(model: nn.Module, path: str, layer: int) -> nn.Module:
    """The model from `layer` on: the same layers, at `path`, behind an input that takes hidden states."""
    upper = _shallow(model)
    owner = upper
    *names, last = path.split(".")
    for name in names:
        child = _shallow(getattr(owner, name))
        owner._modules[name] = child
        owner = child
    stack = owner._modules[last]
    assert isinstance(stack, nn.ModuleList)
    owner._modules[last] = stack[layer:]
    if "embeddings" in upper._modules:
        upper._modules["embeddings"] = _PassThrough()
    config: Any = copy.copy(model.config)
    config.num_hidden_layers = len(stack) - layer
    if getattr(config, "layer_types", None):
        # Full or sliding attention, layer by layer.
        config.layer_types = config.layer_types[layer:]
    upper.config = config
    return upper


class _PassThrough(nn.Module):
    """Stands in for an encoder's embeddings when it goes on from hidden states."""

    def forward(self, *, inputs_embeds: Tensor, **_ignored: object) -> Tensor:
        return inputs_embeds


def _shallow(module: nn.Module) -> nn.Module:
    twin = copy.copy(module)
    twin._modules = dict(module._modules)
    return twin
