"""A home with many experts and a generation over the first 16, 512, 1,024 of them; and real rows to ask.

The experts are published through the registry like trained ones, but hold random numbers: how long an expert
takes does not depend on what it learned. The gates send each of the rows asked to an expert of its own as far
as there are enough, so that texts go to all of them.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.measure import tell
from registry import Expert, Generation, Registry
from registry.errors import RegistryError
from trainer import generations, kinds
from trainer.base_model import BaseModel
from trainer.data import read_texts
from trainer.described import to_json
from trainer.encoding import encode
from trainer.experts import ExpertModule, design
from trainer.generations import RouterDesign, layers_read
from trainer.layouts import Architecture
from trainer.runs import Moment
from trainer.visitors import LAST

MAX_LENGTH = 128
ROUTER = "noisy_top1"

Rows = list[tuple[str, str | None]]


def mixed_rows(data: Path, count: int) -> Rows:
    """Real rows of all tasks in turn: a different task from row to row, in no order of length."""
    files = sorted(data.glob("*/train.csv"))
    each: list[Iterator[tuple[str, str | None]]] = []
    for path in files:
        try:
            # The first third of a file in a fixed stride, so that no task gives only its first label.
            rows = [(one.text, one.pair) for one in read_texts(path)]
        except RegistryError as refusal:
            tell(f"{path.parent.name} is left out: {refusal}")
            continue
        each.append(iter(rows))
    turns = (row for turn in itertools.zip_longest(*each) for row in turn if row is not None)
    found = list(itertools.islice(turns, count))
    if len(found) < count:
        raise SystemExit(f"only {len(found)} rows below {data}: ask for fewer with --rows")
    return found


def home(
    folder: Path, base: BaseModel, sizes: Sequence[int], asked: Rows
) -> tuple[Registry, list[Generation]]:
    """The registry, and a generation of each size; made once, then found again."""
    registry = Registry(folder)
    known = {generation.config["made_for"]: generation for generation in registry.generations()}
    if all(size in known for size in sizes):
        return registry, [known[size] for size in sizes]
    experts = publish(registry, base, max(sizes))
    first = experts[0].config["architecture"]["first_layer"]
    layers = layers_read(base.layers, "one", first)
    states = encode(base, asked, layers=layers, max_length=MAX_LENGTH).features
    for size in sizes:
        if size not in known:
            known[size] = freeze(registry, base, experts[:size], layers, states)
    return registry, [known[size] for size in sizes]


def publish(registry: Registry, base: BaseModel, count: int) -> list[Expert]:
    """The first `count` experts; those that are missing are made."""
    known = {expert.task: expert for expert in registry.experts()}
    found = []
    for place in range(count):
        task = f"task-{place:04d}"
        if task not in known:
            known[task] = _expert(registry, base, task, place)
            if place % 64 == 0:
                tell(f"expert {place + 1} of {count}")
        found.append(known[task])
    return found


def _expert(registry: Registry, base: BaseModel, task: str, seed: int) -> Expert:
    labels = tuple(f"label-{place}" for place in range(2 + seed % 5))
    architecture = design(
        base,
        task_kind="classification",
        labels=labels,
        adapter="tt_lora",
        preset="default",
        rank=None,
        alpha=None,
        first_layer=None,
        max_length=MAX_LENGTH,
    )
    return publish_untrained(registry, base, task, architecture, seed, spread=0.01)


def publish_untrained(
    registry: Registry, base: BaseModel, task: str, architecture: Architecture, seed: int, *, spread: float
) -> Expert:
    """An expert whose start is moved by random numbers of this deviation, frozen like a trained one."""
    labels = architecture.labels
    module = ExpertModule(base, architecture, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in module.parameters():
            value.add_(torch.randn(value.shape, generator=generator), alpha=spread)
    registry.add_base_model(base.record)
    dataset = registry.add_dataset(
        content=f'{{"label":"{labels[0]}","split":"train","text":"{task}"}}\n'.encode(),
        task=task,
        kind=architecture.task_kind,
        labels=labels,
        rows={"train": 1, "validation": 0, "test": 0},
        columns={"text": "text", "label": "label"},
        source="made",
        findings=(),
    )
    return registry.add_expert(
        task=task,
        dataset=dataset.version,
        base_model=base.record.fingerprint,
        adapter=architecture.adapter,
        config={"architecture": to_json(architecture), "training": {}},
        labels=labels,
        parameters=module.parameter_count,
        payload=module.pack({"task": task}),
        settings_key=task,
        run=Moment.now().run(kind="expert", settings={}, seed=seed, history=[]),
    )


def freeze(
    registry: Registry, base: BaseModel, experts: Sequence[Expert], layers: tuple[int, ...], states: Tensor
) -> Generation:
    """A generation over these experts with the paper's gate: row `i` of the features goes to expert `i` where
    there are as many experts as rows, else to any of them."""
    family = kinds.load("routers", ROUTER)
    router = family.Router(family.Config(), states.shape[1:], len(experts))
    read = states[:, -1]
    router.centre.copy_(read.mean(0))
    router.scale.copy_(read.std(0).clamp_min(1e-6))
    points = torch.nn.functional.normalize((read[:, LAST] - router.centre[LAST]) / router.scale[LAST])
    with torch.no_grad():
        router.noise.weight.zero_()
        router.noise.bias.zero_()
        for slot in range(len(experts)):
            own = points[slot :: len(experts)]
            # More rows than experts: the first of an expert's rows stands for it.
            router.gate.weight[slot] = own[0] if len(own) else 0.0
    plan = RouterDesign(kind=ROUTER, kind_config={}, layers=layers, passes="one", max_length=MAX_LENGTH)
    return registry.add_generation(
        experts=[expert.name for expert in experts],
        payload=generations.pack(router, {"made": True}),
        run=Moment.now().run(kind="router", settings={}, seed=0, history=[]),
        router=ROUTER,
        config={"router": to_json(plan), "made_for": len(experts)},
        base_model=base.record.fingerprint,
        parameters=generations.parameter_count(router),
    )
