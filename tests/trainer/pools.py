"""Pools of experts that were never trained, but published like those that were: what they cost does not
depend on what they learned."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from benchmarks.mixtures import publish_untrained
from registry import Expert, Generation, Registry
from trainer import generations, kinds
from trainer.base_model import BaseModel
from trainer.described import to_json
from trainer.encoding import encode
from trainer.experts import design
from trainer.gates import soft_token
from trainer.generations import RouterDesign
from trainer.inputs import Text
from trainer.runs import Moment

DESIGN: dict[str, Any] = {
    "task_kind": "classification",
    "adapter": "tt_lora",
    "preset": "default",
    "rank": None,
    "alpha": None,
    "first_layer": 1,
    "max_length": 32,
}


def publish(
    registry: Registry, base: BaseModel, task: str, seed: int, labels: int = 2, **changed: Any
) -> Expert:
    """One expert of random numbers; `changed`: arguments of `design`."""
    names = tuple(f"{task} {place}" for place in range(labels))
    architecture = design(base, labels=names, **(DESIGN | changed))
    return publish_untrained(registry, base, task, architecture, seed, spread=0.2)


def route(
    registry: Registry, base: BaseModel, experts: list[Expert], asked: Sequence[Text], seed: int = 0
) -> Generation:
    """A generation with a random gate at layer 1, which spreads the texts asked."""
    family = kinds.load("routers", "noisy_top1")
    router = family.Router(family.Config(), (1, 2, base.hidden), len(experts))
    states = encode(base, asked, layers=(1,), max_length=32).features[:, -1]
    router.centre.copy_(states.mean(0))
    router.scale.copy_(states.std(0).clamp_min(1e-6))
    torch.nn.init.normal_(router.gate.weight, generator=torch.Generator().manual_seed(seed))
    torch.nn.init.zeros_(router.noise.weight)
    torch.nn.init.zeros_(router.noise.bias)
    plan = RouterDesign(kind="noisy_top1", kind_config={}, layers=(1,), passes="one", max_length=32)
    return _publish(registry, base, experts, router, plan)


def weigh(
    registry: Registry,
    base: BaseModel,
    experts: list[Expert],
    *,
    layers: tuple[int, ...],
    top_k: int | None = None,
    seed: int = 0,
    max_length: int = 32,
) -> Generation:
    """A generation with a random gate over the tokens that enter some layers."""
    config = soft_token.Config(top_k=top_k)
    router = soft_token.Router(config, (len(layers), 2, base.hidden), len(experts))
    torch.nn.init.normal_(router.weight, std=0.3, generator=torch.Generator().manual_seed(seed))
    plan = RouterDesign(
        kind="soft_token",
        kind_config=to_json(config),
        layers=layers,
        passes="one",
        max_length=max_length,
    )
    return _publish(registry, base, experts, router, plan)


def _publish(
    registry: Registry, base: BaseModel, experts: list[Expert], router: nn.Module, plan: RouterDesign
) -> Generation:
    return registry.add_generation(
        experts=[expert.name for expert in experts],
        payload=generations.pack(router, {}),
        run=Moment.now().run(kind="router", settings={}, seed=0, history=[]),
        router=plan.kind,
        config={"router": to_json(plan)},
        base_model=base.record.fingerprint,
        parameters=generations.parameter_count(router),
    )
