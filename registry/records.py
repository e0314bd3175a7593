"""What the registry hands out: plain frozen records. Nothing in here knows of the database.

Times are timezone-aware and in UTC. `dataclasses.asdict` makes each what JSON can say, times aside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NotRequired, TypedDict


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A named question."""

    name: str
    kind: str
    """The task kind's module name, such as `classification`."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One version of a task's rows."""

    task: str
    version: int
    sha256: str
    """Digest of the rows' canonical bytes, and the name of the blob that holds them."""
    labels: tuple[str, ...]
    rows: dict[str, int]
    """Row counts of `train`, `validation` and `test`."""
    columns: dict[str, str]
    """The file's column of each role, such as `{"text": "sentence", "label": "label"}`."""
    source: str
    findings: tuple[str, ...]
    """What the reader noticed about the rows, one line each."""
    created_at: datetime

    @property
    def name(self) -> str:
        """Such as `sst2/data@2`."""
        return f"{self.task}/data@{self.version}"


class NewDataset(TypedDict):
    """What `Registry.add_dataset` is told besides the rows; see `Dataset`."""

    task: str
    kind: str
    labels: Sequence[str]
    rows: dict[str, int]
    columns: dict[str, str]
    source: str
    findings: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModel:
    """Which frozen pretrained model, not its weights."""

    fingerprint: str
    """SHA-256 over weights, config and tokenizer."""
    spec: str
    """What was asked for: a built-in name, a folder, a Hub id."""
    name: str
    architecture: str
    hidden_size: int
    layers: int
    parameters: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What is known of one training run when it ends."""

    kind: str
    """`expert`, `router` or `mixture`."""
    settings: dict[str, Any]
    """Rows that are no dataset of a task stand here as `corpus`: `{"source", "sha256", "rows"}`, the last by
    split; lineages name them."""
    seed: int
    versions: dict[str, str]
    """Library versions."""
    history: list[dict[str, Any]]
    """One entry per epoch, or whatever the trainer counts."""
    started_at: datetime
    finished_at: datetime
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(RunFacts):
    """One training run on record."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Expert:
    """One frozen version of a task's adapters and head."""

    task: str
    version: int
    kind: str
    """The task's kind."""
    adapter: str
    """The adapter kind's module name, such as `tt_lora`."""
    config: dict[str, Any]
    labels: tuple[str, ...]
    base_model: str
    """Fingerprint of the base model that it was trained on and runs on."""
    dataset: int
    """Version of the task's dataset that it was trained on."""
    run: int
    parent: int | None
    """The version before it, if any."""
    parameters: int
    sha256: str
    bytes: int
    settings_key: str
    """Equal for runs that would give the same expert from the same rows."""
    created_at: datetime

    @property
    def name(self) -> str:
        """Such as `sst2@3`."""
        return f"{self.task}@{self.version}"


class NewExpert(TypedDict):
    """What `Registry.add_expert` is told besides tensors, run and numbers; see `Expert`."""

    task: str
    dataset: int
    base_model: str
    adapter: str
    config: dict[str, Any]
    labels: Sequence[str]
    parameters: int
    settings_key: str
    combined_from: NotRequired[Mapping[str, float]]
    """The weight of each expert that it was combined from, by full name, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One frozen router with the exact, ordered experts that it chooses among."""

    number: int
    router: str
    """The router kind's module name, such as `closed_form`."""
    config: dict[str, Any]
    base_model: str
    run: int
    parent: int | None
    """The generation before it, if any."""
    experts: tuple[str, ...]
    """Expert names in slot order: the router's output `i` stands for `experts[i]`."""
    sha256: str
    root: str
    """Digest of the manifest: router, experts, base model, datasets and config together."""
    parameters: int
    created_at: datetime

    @property
    def name(self) -> str:
        """Such as `router@12`."""
        return f"router@{self.number}"


class NewGeneration(TypedDict):
    """What `Registry.add_generation` is told besides experts, tensors, run and numbers; see `Generation`."""

    router: str
    config: dict[str, Any]
    base_model: str
    parameters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationFacts:
    """One measured number, before it is on record."""

    metric: str
    split: str
    value: float
    examples: int
    dataset: str | None = None
    """The task measured on. `None`: the expert's own task, or all tasks of the generation together."""
    details: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One measured number on record."""

    id: int
    subject: str
    """The expert or generation measured: `sst2@3`, `router@12`."""
    task: str | None
    dataset_version: int | None
    """Version of `task`'s dataset. Both are `None` for a number over all tasks of a generation."""
    split: str
    metric: str
    value: float
    examples: int
    details: dict[str, Any] | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A movable name of one generation, or of one version of one task's expert."""

    subject: str
    """`router`, or the task that the alias belongs to."""
    name: str
    target: str
    """Such as `router@12` or `sst2@3`."""
    moved_at: datetime

    @property
    def ref(self) -> str:
        """Such as `router@production` or `sst2@stable`."""
        return f"{self.subject}@{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasEvent:
    """One move of an alias."""

    alias: str
    """Such as `router@production`."""
    action: str
    """`promote`, `rollback` or `remove`."""
    target: str | None
    previous: str | None
    reason: str
    actor: str | None
    """Who moved it; by default the user that the process runs as."""
    created_at: datetime
    gate: dict[str, Any] | None
    """The verdict of the promotion gate (`trainer.pipeline.gate`), where one was asked."""


class Move(TypedDict, total=False):
    """What may be said of a move of an alias; see `AliasEvent`."""

    reason: str
    actor: str | None
    gate: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that `verify` found wrong."""

    subject: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of work on record; `registry.jobs` tells how it moves from state to state."""

    id: int
    kind: str
    """The job kind's module name, such as `add_task`."""
    params: dict[str, Any]
    inputs: tuple[str, ...]
    """Digests of the blobs that the work reads."""
    task: str | None
    exclusive_key: str | None
    """Of the jobs with one key, one runs at a time."""
    state: str
    """`queued`, `running`, `done`, `failed`, `cancelled` or `needs_recovery`."""
    attempt: int
    """How often it was begun; also the fencing token of every write."""
    max_attempts: int
    owner: str | None
    cancel_requested: bool
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    """`{"kind": "DataRefusedError", "message": "..."}`."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to it unless somebody asks."""
        return self.finished_at is not None

    @property
    def retriable(self) -> bool:
        """Whether it may be queued again."""
        return self.state in ("failed", "cancelled")
