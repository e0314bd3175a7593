"""An expert in memory: the adapters of one task and its head, ready to train, to run or to freeze into
bytes."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from registry import Expert
from registry import tensors as tensor_files
from registry.errors import DamagedError, InvalidSettingError
from trainer import kinds
from trainer.base_model import BaseModel, default_first_layer
from trainer.described import from_json, to_json
from trainer.encoding import early_layers
from trainer.forms import Form, Parts
from trainer.layouts import (
    Architecture,
    config_of,
    family_of,
    form_of,
    form_parts,
    layouts,
    stack_layers,
)
from trainer.shapes import config_from
from trainer.spans import by_input
from trainer.tokens import Batch
from trainer.visitors import Visitor, pool


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
    targets: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    task_config: Mapping[str, Any] | None = None,
) -> Architecture:
    """Settle what was left open by the settings, for one base model.

    Raises:
        NotFoundError: unknown adapter kind or preset, or no target that the base model has.
        InvalidSettingError: a first layer outside the model, or an option that does not fit.
    """
    family = kinds.load("adapters", adapter)
    if targets and not family.TARGETS:
        raise InvalidSettingError(f"{adapter} adapts no linear layers: leave targets out")
    names = tuple(family.TARGETS if targets is None else targets)
    config = config_from(
        adapter,
        rank=rank,
        alpha=alpha,
        preset=preset,
        options=options,
        sizes=base.targets(names).values() if names else (),
    )
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
        targets=names,
        # Without adapters, what the states become further on is the same for every task.
        head_layers=() if family.TARGETS else early_layers(layer),
        first_layer=layer,
        pooling=base.pooling,
        max_length=max_length,
        labels=tuple(labels),
        task_config=dict(task_config or {}),
    )


class Alone(Visitor):
    """One expert for every row of the batch.

    Attributes:
        parts: what its adapter runs with at each linear layer it has one for.
    """

    def __init__(self, form: Form, parts: Mapping[tuple[int, str], Parts]) -> None:
        self.form, self.parts = form, parts

    def adapt(self, layer: int, module: str, x: Tensor, output: Tensor) -> Tensor | None:
        """The output with the expert's update; None where it has none."""
        found = self.parts.get((layer, module))
        return None if found is None else self.form.apply(x, output, found)


class ExpertModule(nn.Module):
    """The trainable part: adapters for the target layers, and the head.

    Attributes:
        adapters: the values of all layers, `(layers, ...)` each; see `values`.

    Args:
        seed: of the adapters' start values; the same seed gives the same start.
        frozen: the values to have instead, as `read` gives them.
    """

    def __init__(
        self,
        base: BaseModel,
        architecture: Architecture,
        seed: int = 0,
        *,
        frozen: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.kind = kinds.load("tasks", architecture.task_kind)
        self.layouts = layouts(base, architecture)
        if self.kind.WRITES:
            self._words = base.words
        if frozen is None:
            values = _start(base, architecture, seed)
            self.head: nn.Module = self.kind.head(architecture.head_inputs(base.hidden), architecture.labels)
        else:
            # A file names its tensors in no certain order, and whoever trains on needs one.
            values = {name: frozen[name] for name in sorted(frozen) if not name.startswith(_HEAD)}
            self.head = thaw_head(base, architecture, frozen)
        self.adapters = nn.Module()
        for name, value in values.items():
            if value.is_floating_point():
                self.adapters.register_parameter(_attribute(name), nn.Parameter(value))
            else:
                self.adapters.register_buffer(_attribute(name), value)
        self.to(base.device)

    @property
    def parameter_count(self) -> int:
        """Numbers in adapters and head."""
        return sum(parameter.numel() for parameter in self.parameters())

    def values(self) -> dict[str, Tensor]:
        """The values of the adapters, named as in the expert's file."""
        return {layout.file_name(name): getattr(self.adapters, _attribute(layout.file_name(name)))
                for layout in self.layouts for name in layout.values}  # fmt: skip

    def visitor(self) -> Alone:
        """The adapters as they run: formed once, used by every token of the batch."""
        return Alone(form_of(self.architecture), self._parts())

    def outputs(
        self, final: Tensor, batch: Batch, counts: Sequence[int], early: Mapping[int, Tensor] | None = None
    ) -> Tensor:
        """The head's outputs, a row for each input, from final states `(sequences, length, hidden)`; counts:
        how many sequences each input is; early: by layer, the states that entered it, where the head reads
        them. Of a kind that writes: the surprise of each row's target."""
        if self.kind.WRITES:
            return self._words.surprises(self.head, final, batch)
        read = head_reads(self.architecture, pool(final, batch.mask), early or {}, batch.mask)
        return by_input(self.head(read), counts)

    def pack(self, about: Mapping[str, Any]) -> bytes:
        """The frozen form: one safetensors file with cores, head, and what they are."""
        named = self.values() | {f"{_HEAD}{name}": value for name, value in self.head.state_dict().items()}
        arrays = {name: value.numpy(force=True) for name, value in named.items()}
        return tensor_files.pack(arrays, {"architecture": to_json(self.architecture), **about})

    def _parts(self) -> dict[tuple[int, str], Parts]:
        values = self.values()
        found: dict[tuple[int, str], Parts] = {}
        for layout in self.layouts:
            parts = form_parts(self.architecture, layout, values)
            apart = {name: part.unbind() for name, part in parts.items()}
            for place in range(layout.layers):
                found[layout.first + place, layout.module] = {
                    name: each[place] for name, each in apart.items()
                }
        return found


_HEAD = "head."


def _attribute(name: str) -> str:
    return name.replace(".", "/")  # torch takes no dots in the names of parameters.


def _start(base: BaseModel, architecture: Architecture, seed: int) -> dict[str, Tensor]:
    """Untrained values, layer after layer from one generator."""
    family, config = family_of(architecture), config_of(architecture)
    generator = torch.Generator().manual_seed(seed)
    made: dict[str, list[Tensor]] = {}
    for layer in range(architecture.first_layer, base.layers):
        for one in layouts(base, architecture):
            name = f"layer {layer} {one.module}"
            adapter = family.Adapter(config, one.inputs, one.outputs, generator, name)
            for value, start in adapter.state_dict().items():
                made.setdefault(one.file_name(value), []).append(start)
    return {name: torch.stack(values) for name, values in made.items()}


def read(
    base: BaseModel, expert: Expert, architecture: Architecture, values: Mapping[str, np.ndarray]
) -> dict[str, Tensor]:
    """The values of an expert's file, checked.

    Raises:
        DamagedError: names, shapes or types are not those of its architecture, or a value is not finite.
    """
    own = layouts(base, architecture)
    expected = {
        layout.file_name(name): (str(kept.dtype).removeprefix("torch."), (layout.layers, *kept.shape))
        for layout in own
        for name, kept in layout.values.items()
    }
    for name, value in _head_of(base, architecture).state_dict().items():
        expected[f"{_HEAD}{name}"] = (str(value.dtype).removeprefix("torch."), tuple(value.shape))
    try:
        stacked = stack_layers(values, own, np.stack)
    except ValueError:
        raise DamagedError(f"{expert.name} has wrong tensors: its layers are of different shapes.") from None
    tensor_files.check(stacked, expected, expert.name)
    return {name: torch.from_numpy(value) for name, value in stacked.items()}


def thaw_head(base: BaseModel, architecture: Architecture, values: Mapping[str, Tensor]) -> nn.Module:
    """The head of a frozen expert, from what `read` gave."""
    head = copy.deepcopy(_head_of(base, architecture))
    own = {name.removeprefix(_HEAD): value for name, value in values.items() if name.startswith(_HEAD)}
    head.load_state_dict({name: value.to(base.device) for name, value in own.items()}, assign=True)
    return head


def _head_of(base: BaseModel, architecture: Architecture) -> nn.Module:
    return _empty_head(architecture.task_kind, architecture.head_inputs(base.hidden), architecture.labels)


@lru_cache(maxsize=1024)
def _empty_head(kind: str, hidden: int, labels: tuple[str, ...]) -> nn.Module:
    # Without numbers: drawing them would take longer than reading the file.
    with torch.device("meta"):
        head: nn.Module = kinds.load("tasks", kind).head(hidden, labels).eval().requires_grad_(False)
    return head


def head_reads(
    architecture: Architecture,
    final: Tensor,
    early: Mapping[int, Tensor],
    mask: Tensor,
    places: Sequence[int] | slice = slice(None),
) -> Tensor:
    """What the head of an expert reads of some sequences of a batch, `(places, inputs)`.

    Args:
        final: pooled, `(batch, 2, hidden)`; early: by layer, the states `(batch, length, hidden)` that enter
            it, of those layers that some head of the batch reads.
    """
    if not architecture.head_layers:
        return final[places, architecture.pooling]
    own = mask[places]
    return torch.cat([pool(early[layer][places], own).flatten(1) for layer in architecture.head_layers], 1)


def thaw(base: BaseModel, expert: Expert, values: Mapping[str, np.ndarray]) -> ExpertModule:
    """A frozen expert, ready to run.

    Raises:
        DamagedError: the values do not fit the expert's own description.
    """
    architecture = described(expert)
    module = ExpertModule(base, architecture, frozen=read(base, expert, architecture, values))
    return module.eval().requires_grad_(False)


def described(expert: Expert) -> Architecture:
    """What an expert's record says of its shape.

    Raises:
        DamagedError: it says something else.
    """
    return from_json(Architecture, expert.config["architecture"])


def task_kind(expert: Expert) -> ModuleType:
    """The task-kind module behind an expert."""
    return kinds.load("tasks", expert.kind)
