"""What an expert consists of, known from its description alone: the shapes of what is kept and of what runs.

The values of one adapter family at linear layers of one name are kept together, stacked over the layers they
are in: a file has few tensors, and all layers are formed by one product.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from registry.canonical import canonical_json
from trainer import kinds
from trainer.base_model import BaseModel
from trainer.forms import Form, Parts


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Everything that shapes an expert; stored whole with it, so that its bytes can be read back.

    Attributes:
        task_config: what the task kind's `configure` gave, and `max_new_tokens` of kinds that write.
    """

    task_kind: str
    adapter: str
    adapter_config: dict[str, Any]
    targets: tuple[str, ...]
    first_layer: int
    pooling: int
    max_length: int
    labels: tuple[str, ...]
    task_config: dict[str, Any] = field(default_factory=dict, metadata={"unsaid": True})
    head_layers: tuple[int, ...] = field(default=(), metadata={"unsaid": True})
    """The layers whose entering states the head reads, mean and last token of each, side by side, the number
    of layers standing for the final states; where there are none, it reads those as `pooling` says."""

    @property
    def reads_features(self) -> bool:
        """Whether what the head reads is the same whoever answers: there are no adapters."""
        return bool(self.head_layers) and not self.targets

    def head_inputs(self, hidden: int) -> int:
        """How many numbers the head reads, of states of that width."""
        return 2 * hidden * len(self.head_layers) or hidden


@dataclass(frozen=True)
class Kept:
    """One tensor's type and shape."""

    dtype: torch.dtype
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """The adapters of one expert at the linear layers called `module`, from layer `first` on.

    Attributes:
        values: by name, what is kept of one layer's adapter; parts: what it runs with.
    """

    module: str
    first: int
    layers: int
    inputs: int
    outputs: int
    values: Mapping[str, Kept]
    parts: Mapping[str, Kept]

    def file_name(self, value: str) -> str:
        """What a value is called in the expert's file; there it is stacked over the layers."""
        return f"adapter.{self.module}.{value}"


def layouts(base: BaseModel, architecture: Architecture) -> list[Layout]:
    """What an expert of this architecture has at each of its target layers."""
    if not architecture.targets:
        return []
    config = canonical_json(architecture.adapter_config)
    first = architecture.first_layer
    return [
        Layout(module, first, base.layers - first, *size, *_shapes(architecture.adapter, config, *size))
        for module, size in base.targets(architecture.targets).items()
    ]


def family_of(architecture: Architecture) -> ModuleType:
    """The adapter family behind an architecture."""
    return kinds.load("adapters", architecture.adapter)


def form_of(architecture: Architecture) -> Form:
    """How its adapters run."""
    form: Form = kinds.load("forms", family_of(architecture).FORM)
    return form


def config_of(architecture: Architecture) -> Any:
    """The adapter family's own settings."""
    return family_of(architecture).Config(**architecture.adapter_config)


def form_parts(
    architecture: Architecture,
    layout: Layout,
    values: Mapping[str, Tensor],
    device: torch.device | None = None,
) -> Parts:
    """The parts of all layers of a layout, `(layers, ...)`, from the values kept, named as in the file.

    Values may have more leading axes than that of the layers, which parts then have too.
    """
    own = {name: values[layout.file_name(name)] for name in layout.values}
    if device is not None:
        own = {name: value.to(device) for name, value in own.items()}
    parts: Parts = family_of(architecture).parts(config_of(architecture), layout.inputs, layout.outputs, own)
    return parts


@lru_cache(maxsize=1024)
def _shapes(
    adapter: str, config: str, inputs: int, outputs: int
) -> tuple[Mapping[str, Kept], Mapping[str, Kept]]:
    """What an adapter keeps and what it runs with, learned from one that is made and thrown away."""
    family = kinds.load("adapters", adapter)
    settings = family.Config(**json.loads(config))
    values = family.Adapter(settings, inputs, outputs, torch.Generator(), "a layer").state_dict()
    parts = family.parts(settings, inputs, outputs, values)
    return _kept(values), _kept(parts)


def _kept(tensors: Mapping[str, Tensor]) -> Mapping[str, Kept]:
    return {name: Kept(value.dtype, tuple(value.shape)) for name, value in tensors.items()}


def stack_layers(values: Mapping[str, Any], own: Sequence[Layout], stack: Any) -> dict[str, Any]:
    """The values of a file as they are named today.

    The first experts were kept with each layer's values apart, as `adapter.8.self_attn.q_proj.cores.0`;
    frozen files stay as they are, so that they are read for good.
    """
    found = dict(values)
    for layout in own:
        for name in layout.values:
            apart = [
                f"adapter.{layer}.{layout.module}.{name}"
                for layer in range(layout.first, layout.first + layout.layers)
            ]
            if all(one in found for one in apart):
                found[layout.file_name(name)] = stack([found.pop(one) for one in apart])
    return found
