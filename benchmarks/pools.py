"""Homes with many tasks as `add-task` leaves them, without the training: rows, features, experts, answers.

Experts are frozen as they start, which is all that a refit asks of them. Real rows are read by the base model
once, as far as routers look; made ones have the widths of a base model, and features drawn at random.
"""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.measure import tell
from benchmarks.samples import sample
from registry import BaseModel as BaseModelRecord
from registry import Registry
from registry import tensors as tensor_files
from registry.errors import DataRefusedError
from trainer import kinds
from trainer.base_model import BaseModel
from trainer.data import Row, TaskData, read_task
from trainer.data.rows import Split
from trainer.dataset_features import FeatureKey, inputs, keep_answers, keep_features
from trainer.described import to_json
from trainer.encoding import encode
from trainer.experts import ExpertModule
from trainer.layouts import Architecture
from trainer.measuring import HELD_OUT
from trainer.pipeline.plans import TrainingPlan
from trainer.runs import Moment
from trainer.settings import ExpertSettings

WIDTH, LAYERS = 576, (2, 4, 8)
"""Of the default base model: its hidden size, and the layers that its routers read."""

MADE = BaseModelRecord(
    fingerprint=hashlib.sha256(b"made features").hexdigest(),
    spec="made",
    name="made",
    architecture="made",
    hidden_size=WIDTH,
    layers=30,
    parameters=0,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)
SPLITS: tuple[Split, ...] = ("train",) * 8 + ("validation", "test")


@dataclass(frozen=True, kw_only=True)
class Member:
    """One task to be put on record."""

    name: str
    rows: TaskData
    layers: tuple[int, ...]
    features: Tensor
    architecture: dict[str, Any]
    payload: bytes


def real_tasks(data: Path) -> Iterator[tuple[str, Path]]:
    """Classification tasks whose rows belong to one task only, those with the most rows first."""
    with (data / "MANIFEST.csv").open(newline="", encoding="utf-8") as file:
        listed = list(csv.DictReader(file))
    fit = [row for row in listed if row["router_suite"] == "1" and row["kind"] == "classification"]
    for row in sorted(fit, key=lambda row: (-min(400, int(row["rows_train"])), row["name"])):
        yield row["name"], data / row["folder"] / "train.csv"


def read(registry: Registry, base: BaseModel, data: Path, tasks: int, rows: int) -> None:
    """Add real tasks until the home holds as many."""
    known = {task.name for task in registry.tasks()}
    for name, path in real_tasks(data):
        if len(known) >= tasks:
            return
        if name in known:
            continue
        part = sample(path, rows, registry.home / "samples" / f"{name}.csv")
        try:
            taken = read_task(part, kinds.load_all("tasks"))
        except DataRefusedError as refusal:
            tell(f"{name} is left out: {refusal}")
            continue
        plan = TrainingPlan.settle(name, taken, base, ExpertSettings())
        layers = plan.features.layers
        found = encode(base, inputs(taken.rows), layers=layers, max_length=plan.features.max_length)
        module = ExpertModule(base, plan.architecture)
        member = Member(
            name=name,
            rows=taken,
            layers=layers,
            features=found.features,
            architecture=to_json(plan.architecture),
            payload=module.pack({"task": name}),
        )
        put(registry, base.record, member)
        known.add(name)
        tell(f"{len(known)} of {tasks} tasks")


def make(registry: Registry, tasks: int, rows: int) -> None:
    """Add made tasks until the home holds as many: each a cloud of its own in a space whose directions are of
    very different weight, as states are."""
    generator = torch.Generator().manual_seed(1)
    width = len(LAYERS) * 2 * WIDTH
    mixing = torch.randn(width, width, generator=generator) / width**0.5
    weight = torch.arange(1, width + 1).float() ** -0.7
    mixing = mixing * weight[:, None] * weight.norm() ** -1 * width**0.5
    known = {task.name for task in registry.tasks()}
    for place in range(tasks):
        name = f"made-{place:04d}"
        if name in known:
            continue
        own = torch.Generator().manual_seed(100 + place)
        cloud = 0.06 * torch.randn(width, generator=own) + torch.randn(rows, width, generator=own)
        features = (cloud @ mixing).view(rows, len(LAYERS), 2, WIDTH)
        put(registry, MADE, made_member(name, features, own))
        tell(f"{place + 1} of {tasks} tasks")


def made_member(name: str, features: Tensor, generator: torch.Generator) -> Member:
    """A task of made rows: eighteen words of a vocabulary that half belongs to it."""
    words = torch.randint(0, 900, (len(features), 18), generator=generator).tolist()
    texts = [" ".join(f"{name[5:]}{word}" if word < 150 else f"w{word}" for word in row) for row in words]
    rows = [
        Row({"text": f"{text} {place}", "label": "ab"[place % 2]}, SPLITS[place % 10])
        for place, text in enumerate(texts)
    ]
    data = TaskData(
        kind="classification", labels=("a", "b"), rows=tuple(rows), columns={"text": "text", "label": "label"}
    )
    architecture = Architecture(
        task_kind="classification",
        adapter="tt_lora",
        adapter_config={},
        targets=("q_proj", "v_proj"),
        first_layer=LAYERS[-1],
        pooling=1,
        max_length=128,
        labels=data.labels,
    )
    payload = tensor_files.pack({"head": np.zeros(1, np.float32)}, {"task": name})
    return Member(
        name=name,
        rows=data,
        layers=LAYERS,
        features=features,
        architecture=to_json(architecture),
        payload=payload,
    )


def put(registry: Registry, base: BaseModelRecord, member: Member) -> None:
    """One task on record, with what a refit reads of it. Every answer of an expert is the right one."""
    registry.add_base_model(base)
    rows = member.rows
    content = rows.to_jsonl()
    digest = hashlib.sha256(content).hexdigest()
    key = FeatureKey(base.fingerprint, digest, member.layers, member.architecture["max_length"])
    keep_features(registry, key, member.features)
    dataset = registry.add_dataset(
        content=content,
        task=member.name,
        kind=rows.kind,
        labels=rows.labels,
        rows=rows.counts(),
        columns=rows.columns,
        source=f"{member.name}.csv",
        findings=(),
    )
    expert = registry.add_expert(
        task=member.name,
        dataset=dataset.version,
        base_model=base.fingerprint,
        adapter="tt_lora",
        config={"architecture": member.architecture, "training": {}},
        labels=rows.labels,
        parameters=0,
        payload=member.payload,
        settings_key=digest,
        run=Moment.now().run(kind="expert", settings={}, seed=0, history=[]),
    )
    answers = [row.values["label"] if row.split in HELD_OUT else None for row in rows.rows]
    keep_answers(registry, expert, digest, answers)
