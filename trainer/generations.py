"""Routers in memory: what a generation's router reads, and how it is frozen and thawed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from registry import Generation
from registry import tensors as tensor_files
from trainer import kinds
from trainer.described import from_json
from trainer.encoding import early_layers
from trainer.familiarity import Fit, FitDesign

FIT = "fit."
"""Before the names of the tensors that tell strange inputs."""


@dataclass(frozen=True, kw_only=True)
class RouterDesign:
    """Everything that shapes a router; stored whole with its generation.

    Attributes:
        kind: router kind, or gate kind; kind_config: its `Config`.
        layers: layers whose entering states it reads, empty for routers of text; `base.layers` stands for the
            final states. Of gates: the layers at which they weigh experts.
        passes: `one`: routed on the way through the base model; `two`: the base model runs once to route,
            once to answer.
        max_length: tokens read of a text.
        paired: slots of the experts that learnt from inputs with a second text; None for generations of
            earlier releases and for gates, which do not look at it.
    """

    kind: str
    kind_config: dict[str, Any]
    layers: tuple[int, ...]
    passes: str
    max_length: int
    paired: tuple[int, ...] | None = None


def mixes_tokens(generation: Generation) -> bool:
    """Whether its experts act together on every token, and no text is sent to one of them."""
    return from_json(RouterDesign, generation.config["router"]).kind in kinds.names("gates")


def layers_read(depth: int, passes: str, first_layer: int) -> tuple[int, ...]:
    """The layers that routers of states read: early ones in one pass, the final states of all `depth` layers
    in two."""
    return early_layers(first_layer) if passes == "one" else (depth,)


def pack(router: nn.Module, about: Mapping[str, Any], fit: Fit | None = None) -> bytes:
    """The frozen form of a router, and of what it knows of strange inputs."""
    return tensor_files.pack(
        {name: value.numpy(force=True) for name, value in _state(router, fit).items()}, about
    )


def thaw(
    hidden: int, generation: Generation, values: Mapping[str, np.ndarray]
) -> tuple[nn.Module, Fit | None]:
    """A frozen router, ready to route on the CPU, and when an expert fits; None for generations of earlier
    releases, which do not know.

    Args:
        hidden: size of the states of its base model.

    Raises:
        DamagedError: the values do not fit the generation's own description.
    """
    plan = from_json(RouterDesign, generation.config["router"])
    module = kinds.load("gates" if mixes_tokens(generation) else "routers", plan.kind)
    shape, slots = (len(plan.layers), 2, hidden), len(generation.experts)
    router: nn.Module = module.Router(from_json(module.Config, plan.kind_config), shape, slots)
    fit = None
    if "fit" in generation.config:
        design = from_json(FitDesign, generation.config["fit"])
        fit = Fit(kinds.load("familiarity", design.kind).Score(shape, slots), design)
    own = _state(router, fit)
    tensor_files.check(
        values, {name: ("float32", tuple(value.shape)) for name, value in own.items()}, generation.name
    )
    _fill(router, values, "")
    if fit is not None:
        _fill(fit, values, FIT)
    return router, fit


def _fill(module: nn.Module, values: Mapping[str, np.ndarray], prefix: str) -> None:
    """Give a module its tensors, for good."""
    module.load_state_dict(
        {name: torch.from_numpy(values[prefix + name].copy()) for name in module.state_dict()}
    )
    module.eval().requires_grad_(False)


def _state(router: nn.Module, fit: Fit | None) -> dict[str, Tensor]:
    """All tensors by their names in the frozen form."""
    return {**router.state_dict(), **({} if fit is None else fit.state_dict(prefix=FIT))}


def parameter_count(router: nn.Module) -> int:
    """Learned numbers of a router."""
    return sum(parameter.numel() for parameter in router.parameters())
