"""Small facts and tensors to fill a registry with."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256

import numpy

from registry import BaseModel, Dataset, Expert, Generation, Registry
from registry.records import EvaluationFacts, RunFacts
from registry.tensors import pack

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
FINGERPRINT = sha256(b"tiny base model").hexdigest()
BASE = BaseModel(
    fingerprint=FINGERPRINT,
    spec="tiny",
    name="Tiny",
    architecture="llama",
    hidden_size=8,
    layers=2,
    parameters=1_234,
    created_at=NOON,
)
RUN = RunFacts(
    kind="expert",
    settings={"epochs": 3, "learning_rate": 1e-3},
    seed=7,
    versions={"numpy": numpy.__version__},
    history=[{"epoch": 1, "loss": 0.5}],
    started_at=NOON,
    finished_at=NOON,
    seconds=1.5,
)
ACCURACY = EvaluationFacts(metric="accuracy", split="test", value=0.75, examples=40)


def payload(number: int = 0, size: int = 4) -> bytes:
    """Tensors that differ with `number`."""
    cores = numpy.arange(size, dtype=numpy.float32) + numpy.float32(number)
    return pack({"cores": cores, "head": numpy.full((2, 3), number, numpy.float32)}, {"number": number})


def add_dataset(registry: Registry, task: str = "sst2", number: int = 1) -> Dataset:
    return registry.add_dataset(
        task=task,
        kind="classification",
        labels=("no", "yes"),
        content=f"rows {number} of {task}".encode(),
        rows={"train": 100 * number, "validation": 20, "test": 40},
        columns={"text": "sentence", "label": "label"},
        source=f"{task}.csv",
        findings=(),
    )


def add_expert(
    registry: Registry,
    task: str = "sst2",
    *,
    rows: int = 1,
    number: int = 0,
    settings_key: str = "key",
    base: BaseModel = BASE,
    evaluations: tuple[EvaluationFacts, ...] = (),
    combined_from: Mapping[str, float] | None = None,
) -> Expert:
    """An expert of `task` on its rows number `rows`, with whatever it needs before it."""
    registry.add_base_model(base)
    return registry.add_expert(
        task=task,
        dataset=add_dataset(registry, task, rows).version,
        base_model=base.fingerprint,
        adapter="tt_lora",
        config={"rank": 5, "modes": [4, 2]},
        labels=("no", "yes"),
        parameters=10,
        payload=payload(number),
        settings_key=settings_key,
        run=RUN,
        evaluations=evaluations,
        combined_from=combined_from or {},
    )


def add_generation(
    registry: Registry, *experts: str, number: int = 0, evaluations: tuple[EvaluationFacts, ...] = ()
) -> Generation:
    return registry.add_generation(
        router="closed_form",
        config={"ridge": 0.1},
        base_model=FINGERPRINT,
        experts=experts,
        parameters=30,
        payload=payload(1_000 + number),
        run=RUN,
        evaluations=evaluations,
    )
