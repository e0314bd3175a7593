"""Of many experts the few that a router would send some rows to."""

from collections.abc import Sequence

import torch

from registry import Expert, NotFoundError, Registry
from trainer import denormals, generations
from trainer.base_model import BaseModel
from trainer.data import Row
from trainer.dataset_features import inputs
from trainer.described import from_json
from trainer.encoding import encode
from trainer.generations import RouterDesign, mixes_tokens
from trainer.inputs import words
from trainer.progress import Progress
from trainer.routers import Features


def likeliest(
    registry: Registry,
    base: BaseModel,
    experts: Sequence[Expert],
    rows: Sequence[Row],
    most: int,
    on_progress: Progress,
) -> list[Expert]:
    """At most so many experts: those of the tasks to which the generation in production (else the newest)
    gives most weight over all rows, then the others in their order."""
    if len(experts) <= most:
        return list(experts)
    weights = _weights(registry, base, rows, on_progress)
    return sorted(experts, key=lambda one: -weights.get(one.task, 0.0))[:most]


def _weights(
    registry: Registry, base: BaseModel, rows: Sequence[Row], on_progress: Progress
) -> dict[str, float]:
    """The mean weight of each task; none without a generation on this base model that sends texts to one."""
    try:
        generation = registry.generation()
    except NotFoundError:
        return {}
    if generation.base_model != base.record.fingerprint or mixes_tokens(generation):
        return {}
    design = from_json(RouterDesign, generation.config["router"])
    asked, features = inputs(rows), None
    if design.layers:
        features = encode(
            base, asked, layers=design.layers, max_length=design.max_length, on_progress=on_progress
        ).features
    router, _ = generations.thaw(base.hidden, generation, registry.tensors(generation.name)[0])
    with torch.no_grad(), denormals.flushed():
        weights = router(Features(features, words(asked))).weights[:, 0].mean(0).tolist()
    tasks = [name.rpartition("@")[0] for name in generation.experts]
    return dict(zip(tasks, weights, strict=True))
