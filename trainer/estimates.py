"""What a training will cost, told before anybody asks for it: from what is on record, from the files of the
base model, else from a stated default."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from registry import BaseModel, Expert, Registry
from trainer import kinds
from trainer.data import TaskData
from trainer.settings import ExpertSettings
from trainer.sources.here import Outline, outline

if TYPE_CHECKING:
    from torch import nn

DEFAULT_PACE = 20.0
"""Rows a second, all included, of the default base model on two CPU cores."""
DEFAULT_SIZE = 134_515_008
"""Parameters of the default base model."""
FASTEST = 500.0
"""Rows a second: however small a base model is, the rest takes its time."""
LATEST = 5
"""Experts whose runs count: the machine of last year says little."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What to expect.

    Attributes:
        epochs: at most; rows: seen in each.
        per_second: rows a second, all included; measured_on: the experts whose runs say so, empty for
            DEFAULT_PACE.
        scaled: whether the pace is another base model's, by the parameters of both: time grows with them.
        seconds: at most, since training stops early when it gains nothing.
        parameters: of adapters and head; None when neither an expert of that shape is on record nor the files
            of the base model are on this machine.
        like: the expert on record that has as many; None when they were counted from the files.
    """

    epochs: int
    rows: int
    per_second: float
    measured_on: tuple[str, ...]
    scaled: bool
    seconds: float
    parameters: int | None
    like: str | None


def estimate(
    registry: Registry, data: TaskData, base_model: str | None, settings: ExpertSettings
) -> Estimate:
    """What an expert from these rows will cost.

    Args:
        base_model: a spec, compared with those on record; nothing is fetched or loaded.

    Raises:
        InvalidSettingError: a shape that does not fit the base model.
    """
    training = settings.training(data.counts()["train"])
    base = _on_record(registry, base_model)
    made = [] if base is None else _made_on(registry, base)
    like = next((one for one in made if _same_shape(one, data, settings)), None)
    seen = outline(base_model) if like is None else None
    size = base.parameters if base is not None else None if seen is None else seen.parameters
    per_second, measured_on, scaled = _expected_pace(registry, made, size)
    rows = data.counts()["train"]
    if like is not None and base is not None:
        parameters: int | None = _parameters(like, base, data)
    else:
        parameters = None if seen is None else _counted(seen, data, settings)
    return Estimate(
        epochs=training.epochs,
        rows=rows,
        per_second=per_second,
        measured_on=measured_on,
        scaled=scaled,
        seconds=rows * training.epochs / per_second,
        parameters=parameters,
        like=None if like is None else like.name,
    )


def _expected_pace(
    registry: Registry, made: list[Expert], size: int | None
) -> tuple[float, tuple[str, ...], bool]:
    """Rows a second, the experts whose runs say so, and whether it is another base model's pace."""
    paces = {one.name: pace for one in made[:LATEST] if (pace := _pace(registry, one))}
    if paces:
        return sum(paces.values()) / len(paces), tuple(paces), False
    if size is None:
        return DEFAULT_PACE, (), False
    others = sorted(registry.experts(all_versions=True), key=lambda one: one.run, reverse=True)
    sizes = {base.fingerprint: base.parameters for base in registry.base_models()}
    theirs = {
        one.name: pace * sizes[one.base_model] / size
        for one in others[:LATEST]
        if (pace := _pace(registry, one))
    }
    pace = sum(theirs.values()) / len(theirs) if theirs else DEFAULT_PACE * DEFAULT_SIZE / size
    return min(FASTEST, pace), tuple(theirs), True


def _on_record(registry: Registry, spec: str | None) -> BaseModel | None:
    from trainer.sources import DEFAULT

    found = [base for base in registry.base_models() if base.spec == (spec or DEFAULT)]
    return found[-1] if found else None


def _made_on(registry: Registry, base: BaseModel) -> list[Expert]:
    """Newest first."""
    every = registry.experts(all_versions=True)
    return sorted(
        (one for one in every if one.base_model == base.fingerprint), key=lambda one: one.run, reverse=True
    )


def _pace(registry: Registry, expert: Expert) -> float | None:
    run = registry.run(expert.run)
    rows = registry.dataset(expert.task, expert.dataset).rows.get("train", 0)
    return rows * len(run.history) / run.seconds if run.seconds > 0 else None


def _same_shape(expert: Expert, data: TaskData, settings: ExpertSettings) -> bool:
    wanted = settings.shape()
    targets = settings.targets or kinds.load("adapters", settings.adapter).TARGETS
    shape = expert.config.get("architecture", {})
    return (
        expert.adapter == settings.adapter
        and expert.kind == data.kind
        and shape.get("adapter_config") == asdict(wanted)
        and shape.get("targets", [*targets]) == [*targets]
        and settings.first_layer in (None, shape.get("first_layer"))
    )


def _parameters(like: Expert, base: BaseModel, data: TaskData) -> int:
    """As many as that expert has, but for the head, which grows with the labels."""
    head = kinds.load("tasks", data.kind).head
    own, other = (_numbers(head(base.hidden_size, labels)) for labels in (data.labels, like.labels))
    return like.parameters - other + own


def _counted(seen: Outline, data: TaskData, settings: ExpertSettings) -> int:
    """The numbers in adapters and head, from the sizes of the base model's layers."""
    import torch

    from trainer.base_model import default_first_layer

    family = kinds.load("adapters", settings.adapter)
    first = default_first_layer(seen.layers) if settings.first_layer is None else settings.first_layer
    sizes = Counter(seen.targets(settings.targets or family.TARGETS, first))
    config = settings.shape(sizes)
    adapters = sum(
        times * _numbers(family.Adapter(config, *size, torch.Generator(), "the base model"))
        for size, times in sizes.items()
    )
    return adapters + _numbers(kinds.load("tasks", data.kind).head(seen.hidden, data.labels))


def _numbers(module: "nn.Module") -> int:
    return sum(one.numel() for one in module.parameters())
