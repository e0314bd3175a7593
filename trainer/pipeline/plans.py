"""What is settled before an expert is trained: it decides the expert's bytes."""

import hashlib
from dataclasses import asdict, dataclass

from trainer.base_model import BaseModel
from trainer.data import TaskData
from trainer.dataset_features import FeatureKey
from trainer.described import to_json
from trainer.encoding import early_layers
from trainer.experts import design
from trainer.layouts import Architecture
from trainer.settings import ExpertSettings, TrainingSettings, key


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


@dataclass(frozen=True, kw_only=True)
class TrainingPlan(Plan):
    """Everything that is settled before training starts; it decides the expert's bytes."""

    training: TrainingSettings

    @classmethod
    def settle(cls, task: str, rows: TaskData, base: BaseModel, settings: ExpertSettings) -> "TrainingPlan":
        """Fill in what the settings leave open.

        Raises:
            NotFoundError, InvalidSettingError: as `design`; each target that a person names must be there.
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
