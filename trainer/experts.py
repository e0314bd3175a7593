"""An expert in memory: the adapters of one task and its head, ready to train, to run or to freeze into
bytes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from registry import Expert
from registry import tensors as tensor_files
from registry.errors import InvalidSettingError
from trainer import kinds
from trainer.adapters import LowRank
from trainer.base_model import DEFAULT_TARGETS, BaseModel, default_first_layer
from trainer.described import from_json, to_json
from trainer.visitors import Visitor, pool


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Everything that shapes an expert; stored whole with it, so that its bytes can be read back."""

    task_kind: str
    adapter: str
    adapter_config: dict[str, Any]
    targets: tuple[str, ...]
    first_layer: int
    pooling: int
    max_length: int
    labels: tuple[str, ...]


def design(
    base: BaseModel,
    *,
    task_kind: str,
    labels: Sequence[str],
    adapter: str,
    preset: str,
    rank: int | None,
    alpha: float | None,
    first_layer: int | None,
    max_length: int,
) -> Architecture:
    """Settle what was left open by the settings, for one base model.

    Raises:
        NotFoundError: unknown adapter kind or preset.
        InvalidSettingError: a first layer outside the model.
    """
    config = kinds.load("adapters", adapter).configure(rank=rank, alpha=alpha, preset=preset)
    layer = default_first_layer(base.layers) if first_layer is None else first_layer
    if not 1 <= layer < base.layers:
        raise InvalidSettingError(
            f"first layer {layer} does not fit {base.record.name}: choose 1 to {base.layers - 1} "
            "(routing reads below it, experts act from it on)"
        )
    return Architecture(
        task_kind=task_kind,
        adapter=adapter,
        adapter_config=asdict(config),
        targets=DEFAULT_TARGETS,
        first_layer=layer,
        pooling=base.pooling,
        max_length=max_length,
        labels=tuple(labels),
    )


class Factors(Visitor):
    """Adds `x @ A @ B` at the linear layers it has factors for: one expert for every row of the batch."""

    def __init__(self, factors: Mapping[tuple[int, str], tuple[Tensor, Tensor]]) -> None:
        self.factors = factors

    def delta(self, layer: int, module: str, x: Tensor) -> Tensor | None:
        """The expert's update at this place; None where it has none."""
        found = self.factors.get((layer, module))
        return None if found is None else x @ found[0] @ found[1]


class ExpertModule(nn.Module):
    """The trainable part: one adapter for each target layer, and the head.

    Args:
        seed: of the adapters' start values; the same seed gives the same start.
    """

    head: nn.Module

    def __init__(self, base: BaseModel, architecture: Architecture, seed: int = 0) -> None:
        super().__init__()
        self.architecture = architecture
        self.kind = kinds.load("tasks", architecture.task_kind)
        family = kinds.load("adapters", architecture.adapter)
        config = family.Config(**architecture.adapter_config)
        generator = torch.Generator().manual_seed(seed)
        targets = base.targets(architecture.targets, architecture.first_layer)
        self.places = list(targets)
        self.adapters = nn.ModuleList(
            family.Adapter(config, *size, generator, f"layer {layer} {module}")
            for (layer, module), size in targets.items()
        )
        self.head = self.kind.head(base.hidden, architecture.labels)
        self.to(base.device)

    @property
    def parameter_count(self) -> int:
        """Numbers in adapters and head."""
        return sum(parameter.numel() for parameter in self.parameters())

    def visitor(self) -> Factors:
        """The adapters as factors: formed once, used by every token of the batch."""
        adapters = cast(Iterable[LowRank], self.adapters)
        return Factors(
            {place: adapter.factors() for place, adapter in zip(self.places, adapters, strict=True)}
        )

    def outputs(self, final: Tensor, mask: Tensor) -> Tensor:
        """The head's outputs for final states `(batch, length, hidden)`."""
        outputs: Tensor = self.head(pool(final, mask)[:, self.architecture.pooling])
        return outputs

    def pack(self, about: Mapping[str, Any]) -> bytes:
        """The frozen form: one safetensors file with cores, head, and what they are."""
        named = {name: value.numpy(force=True) for name, value in self._named().items()}
        return tensor_files.pack(named, {"architecture": to_json(self.architecture), **about})

    def fill(self, values: Mapping[str, np.ndarray], subject: str) -> None:
        """Take frozen values.

        Raises:
            DamagedError: names, shapes or types are not those of this architecture, or a value is not finite.
        """
        own = self._named()
        expected = {name: ("float32", tuple(value.shape)) for name, value in own.items()}
        tensor_files.check(values, expected, subject)
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(torch.from_numpy(values[name].copy()))

    def _named(self) -> dict[str, Tensor]:
        adapters = zip(self.places, self.adapters, strict=True)
        named = {
            f"adapter.{layer}.{module}.{name}": value.detach()
            for (layer, module), adapter in adapters
            for name, value in adapter.named_parameters()
        }
        return named | {f"head.{name}": value.detach() for name, value in self.head.named_parameters()}


def thaw(base: BaseModel, expert: Expert, values: Mapping[str, np.ndarray]) -> ExpertModule:
    """A frozen expert, ready to run.

    Raises:
        DamagedError: the values do not fit the expert's own description.
    """
    module = ExpertModule(base, from_json(Architecture, expert.config["architecture"]))
    module.fill(values, expert.name)
    return module.eval().requires_grad_(False)


def task_kind(expert: Expert) -> ModuleType:
    """The task-kind module behind an expert."""
    return kinds.load("tasks", expert.kind)
