"""Routers in memory: what a generation's router reads, and how it is frozen and thawed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from registry import Generation
from registry import tensors as tensor_files
from trainer import kinds
from trainer.described import from_json
from trainer.encoding import early_layers

PASSES = ("one", "two")


@dataclass(frozen=True, kw_only=True)
class RouterDesign:
    """Everything that shapes a router; stored whole with its generation.

    Attributes:
        kind: router kind; kind_config: its `Config`.
        layers: layers whose entering states it reads, empty for routers of text; `base.layers` stands for the
            final states.
        passes: `one`: routed on the way through the base model; `two`: the base model runs once to route,
            once to answer.
        max_length: tokens read of a text.
    """

    kind: str
    kind_config: dict[str, Any]
    layers: tuple[int, ...]
    passes: str
    max_length: int


def layers_read(depth: int, passes: str, first_layer: int) -> tuple[int, ...]:
    """The layers that routers of states read: early ones in one pass, the final states of all `depth` layers
    in two."""
    return early_layers(first_layer) if passes == "one" else (depth,)


def pack(router: nn.Module, about: Mapping[str, Any]) -> bytes:
    """The frozen form of a router."""
    return tensor_files.pack(
        {name: value.numpy(force=True) for name, value in router.state_dict().items()}, about
    )


def thaw(hidden: int, generation: Generation, values: Mapping[str, np.ndarray]) -> nn.Module:
    """A frozen router, ready to route on the CPU.

    Args:
        hidden: size of the states of its base model.

    Raises:
        DamagedError: the values do not fit the generation's own description.
    """
    plan = from_json(RouterDesign, generation.config["router"])
    module = kinds.load("routers", plan.kind)
    router: nn.Module = module.Router(
        from_json(module.Config, plan.kind_config),
        (len(plan.layers), 2, hidden),
        len(generation.experts),
    )
    own = router.state_dict()
    tensor_files.check(
        values, {name: ("float32", tuple(value.shape)) for name, value in own.items()}, generation.name
    )
    router.load_state_dict({name: torch.from_numpy(values[name].copy()) for name in own})
    return router.eval().requires_grad_(False)


def parameter_count(router: nn.Module) -> int:
    """Learned numbers of a router."""
    return sum(parameter.numel() for parameter in router.parameters())
