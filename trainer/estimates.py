"""What a training will cost, told before anybody asks for it: from what is on record, else from a stated
default."""

from dataclasses import asdict, dataclass

from registry import BaseModel, Expert, Registry
from trainer import kinds
from trainer.data import TaskData
from trainer.settings import ExpertSettings

DEFAULT_PACE = 20.0
"""Rows a second, all included, of the default base model on two CPU cores."""
LATEST = 5
"""Experts whose runs count: the machine of last year says little."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What to expect.

    Attributes:
        epochs: at most; rows: seen in each.
        per_second: rows a second, all included; measured_on: the experts whose runs say so, empty for
            DEFAULT_PACE.
        seconds: at most, since training stops early when it gains nothing.
        parameters: of adapters and head, as of `like`; None until an expert of that shape is on record.
    """

    epochs: int
    rows: int
    per_second: float
    measured_on: tuple[str, ...]
    seconds: float
    parameters: int | None
    like: str | None


def estimate(
    registry: Registry, data: TaskData, base_model: str | None, settings: ExpertSettings
) -> Estimate:
    """What an expert from these rows will cost.

    Args:
        base_model: a spec, compared with those on record; nothing is loaded.
    """
    training = settings.training(data.counts()["train"])
    base = _on_record(registry, base_model)
    made = [] if base is None else _made_on(registry, base)
    paces = {one.name: pace for one in made[:LATEST] if (pace := _pace(registry, one))}
    per_second = sum(paces.values()) / len(paces) if paces else DEFAULT_PACE
    rows = data.counts()["train"]
    like = next((one for one in made if _same_shape(one, data, settings)), None)
    return Estimate(
        epochs=training.epochs,
        rows=rows,
        per_second=per_second,
        measured_on=tuple(paces),
        seconds=rows * training.epochs / per_second,
        parameters=None if like is None or base is None else _parameters(like, base, data),
        like=None if like is None else like.name,
    )


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
    family = kinds.load("adapters", settings.adapter)
    wanted = family.configure(rank=settings.rank, alpha=settings.alpha, preset=settings.preset)
    shape = expert.config.get("architecture", {})
    return (
        expert.adapter == settings.adapter
        and expert.kind == data.kind
        and shape.get("adapter_config") == asdict(wanted)
        and settings.first_layer in (None, shape.get("first_layer"))
    )


def _parameters(like: Expert, base: BaseModel, data: TaskData) -> int:
    """As many as that expert has, but for the head, which grows with the labels."""
    head = kinds.load("tasks", data.kind).head
    own, other = (
        sum(one.numel() for one in head(base.hidden_size, labels).parameters())
        for labels in (data.labels, like.labels)
    )
    return like.parameters - other + own
