"""Rows on record, what routers read of them, and what experts answer to them.

Nearly all of it was computed when the experts were made and is kept; the base model runs only for what is
missing, and for each thing once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from registry import Dataset, Expert, Registry
from trainer import kinds
from trainer.base_model import BaseModel
from trainer.data import Row, TaskData
from trainer.dataset_features import FeatureKey, answers_of, features_of, pairs, rows_of
from trainer.moe import MoE, fitting_base
from trainer.progress import Progress, silent


@dataclass(frozen=True)
class TaskRows:
    """One version of a task's rows."""

    dataset: Dataset
    data: TaskData

    def places(self, *splits: str) -> list[int]:
        """Which rows are of these splits, in the order of the splits."""
        return [place for split in splits for place, row in enumerate(self.data.rows) if row.split == split]

    def take(self, places: Sequence[int]) -> list[Row]:
        """Some of the rows."""
        return [self.data.rows[place] for place in places]

    def truth(self, places: Sequence[int]) -> list[str]:
        """The right answers of some rows."""
        target = kinds.load("tasks", self.data.kind).TARGET
        return [row.values[target] for row in self.take(places)]


class Archive:
    """Reads a registry for one run of a verb; what was read or computed is kept until it ends."""

    def __init__(self, registry: Registry, device: str = "auto", on_progress: Progress = silent) -> None:
        self.registry, self.on_progress = registry, on_progress
        self._device = device
        self._bases: dict[str, BaseModel] = {}
        self._rows: dict[tuple[str, int], TaskRows] = {}
        self._features: dict[FeatureKey, Tensor] = {}
        self._alone: dict[str, MoE] = {}
        self._answers: dict[tuple[str, str], dict[int, str]] = {}

    def base(self, fingerprint: str) -> BaseModel:
        """The base model with this fingerprint, loaded when first asked for."""
        if fingerprint not in self._bases:
            self._bases[fingerprint] = fitting_base(
                self.registry, fingerprint, None, self._device, self.on_progress
            )
        return self._bases[fingerprint]

    def rows(self, expert: Expert) -> TaskRows:
        """The rows that an expert was trained and measured on."""
        wanted = (expert.task, expert.dataset)
        if wanted not in self._rows:
            dataset = self.registry.dataset(*wanted)
            self._rows[wanted] = TaskRows(dataset, rows_of(self.registry, dataset, expert.kind))
        return self._rows[wanted]

    def features(self, base_model: str, rows: TaskRows, layers: tuple[int, ...], max_length: int) -> Tensor:
        """Pooled states of all rows, `(rows, layers, 2, hidden)`."""
        wanted = FeatureKey(base_model, rows.dataset.sha256, layers, max_length)
        if wanted not in self._features:
            self._features[wanted] = features_of(
                self.registry, lambda: self.base(base_model), wanted, rows.data, self.on_progress
            )
        return self._features[wanted]

    def answers(self, expert: Expert, rows: TaskRows, places: Sequence[int]) -> list[str]:
        """What an expert answers to some rows, be they of its own task or of another."""
        wanted = (expert.name, rows.dataset.sha256)
        if wanted not in self._answers:
            recorded = answers_of(self.registry, expert, rows.dataset) or []
            self._answers[wanted] = {
                place: answer for place, answer in enumerate(recorded) if answer is not None
            }
        known = self._answers[wanted]
        missing = sorted({*places} - {*known})
        if missing:
            given = self._ask(expert).predict(pairs(rows.take(missing)))
            known |= {place: one.label for place, one in zip(missing, given, strict=True)}
        return [known[place] for place in places]

    def _ask(self, expert: Expert) -> MoE:
        if expert.name not in self._alone:
            base = self.base(expert.base_model)
            self._alone[expert.name] = MoE.load(self.registry, expert=expert.name, base=base)
        return self._alone[expert.name]
