"""What is settled before an expert is trained: it decides the expert's bytes."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from registry import Expert, Registry
from trainer import kinds
from trainer.base_model import BaseModel
from trainer.data import TaskData
from trainer.dataset_features import FeatureKey
from trainer.described import to_json
from trainer.encoding import early_layers
from trainer.experts import design
from trainer.layouts import Architecture
from trainer.prompts import Prompts, check_writes, read_rows
from trainer.settings import ExpertSettings, TrainingSettings, key
from trainer.tasks import check_settings
from trainer.templates import Template
from trainer.tokens import Tokens


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an expert is to be, from which rows.

    Attributes:
        content: canonical bytes of the rows; digest: their SHA-256.
        key: equal where the same rows would give the same expert.
    """

    task: str
    rows: TaskData
    base: BaseModel
    architecture: Architecture
    content: bytes
    digest: str
    key: str

    @property
    def features(self) -> FeatureKey:
        """Under which the pooled features of the rows are cached."""
        layers = early_layers(self.architecture.first_layer)
        return FeatureKey(self.base.record.fingerprint, self.digest, layers, self.architecture.max_length)

    def there(self, registry: Registry) -> Expert | None:
        """The expert that these rows gave before."""
        return registry.find_expert(task=self.task, dataset_sha256=self.digest, settings_key=self.key)

    def read(self) -> list[Tokens] | None:
        """The prompt and target of each row, where answers are written; None where inputs are all that is
        read."""
        return read_rows(self.base, self.architecture, self.rows.rows)


@dataclass(frozen=True, kw_only=True)
class TrainingPlan(Plan):
    """Everything that is settled before training starts; it decides the expert's bytes."""

    training: TrainingSettings

    @classmethod
    def settle(cls, task: str, rows: TaskData, base: BaseModel, settings: ExpertSettings) -> "TrainingPlan":
        """Fill in what the settings leave open.

        Raises:
            NotFoundError, InvalidSettingError: as `design`; each target that a person names must be there.
            DataRefusedError: a target to be written is too long.
        """
        for name in settings.targets or ():
            base.targets((name,))
        architecture = design(
            base,
            task_kind=rows.kind,
            labels=rows.labels,
            adapter=settings.adapter,
            preset=settings.preset,
            rank=settings.rank,
            alpha=settings.alpha,
            first_layer=settings.first_layer,
            max_length=settings.max_length,
            targets=settings.targets,
            options=settings.options,
            task_config=_task_config(rows, base, settings),
        )
        training = settings.training(rows.counts()["train"])
        facts = {"architecture": to_json(architecture), "training": asdict(training)}
        content = rows.to_jsonl()
        return cls(
            task=task,
            rows=rows,
            base=base,
            architecture=architecture,
            training=training,
            content=content,
            digest=hashlib.sha256(content).hexdigest(),
            key=key(base_model=base.record.fingerprint, **facts),
        )


def _task_config(rows: TaskData, base: BaseModel, settings: ExpertSettings) -> dict[str, Any]:
    """What the kind of task is shaped by; of kinds that write, also how long an answer may be: as long as the
    longest that there is to learn."""
    kind = kinds.load("tasks", rows.kind)
    if kind.WRITES:
        check_writes(base, rows.kind)
    config = check_settings(rows, settings)
    if kind.WRITES:
        prompts = Prompts(base, Template.of(config["template"]), settings.max_length)
        config["max_new_tokens"] = prompts.longest(rows.rows, kind.TARGET, settings.max_target)
    return config
