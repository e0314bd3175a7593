"""Rows on record, what routers read of them, and what experts answer to them.

Nearly all of it was computed when the experts were made and is kept; the base model runs only for what is
missing, and for each thing once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from registry import DamagedError, Dataset, Expert, Registry, looking_up
from trainer.base_model import BaseModel
from trainer.data import SPLITS, Row, TaskData
from trainer.dataset_features import (
    FeatureKey,
    Strays,
    answers_name,
    answers_of,
    features_of,
    held_out_name,
    held_out_of,
    inputs,
    keep_strays,
    known_features,
    rows_of,
    strays_of,
)
from trainer.described import to_json
from trainer.kept_sums import SumsFile
from trainer.measuring import HELD_OUT
from trainer.moe import MoE
from trainer.pipeline.summing import Summing
from trainer.progress import Progress, silent
from trainer.settings import key
from trainer.sums import RidgeSums
from trainer.takers import Form
from trainer.thawing import fitting_base


@dataclass(frozen=True)
class Reading:
    """What routers read of a text: the pooled states that enter some layers, of its first tokens."""

    base_model: str
    layers: tuple[int, ...]
    max_length: int

    def of(self, dataset_sha256: str) -> FeatureKey:
        """Where that is kept of a dataset."""
        return FeatureKey(self.base_model, dataset_sha256, self.layers, self.max_length)


@dataclass(frozen=True)
class TaskRows:
    """One version of a task's rows; read when first looked at."""

    registry: Registry
    dataset: Dataset
    kind: str

    @cached_property
    def data(self) -> TaskData:
        """The rows themselves."""
        return rows_of(self.registry, self.dataset, self.kind)

    @property
    def form(self) -> Form:
        """What each of them consists of beside its text."""
        return Form.learnt(self.kind, self.dataset)

    @cached_property
    def held_out(self) -> dict[int, int]:
        """The rows no training sees, and the how manieth of those each is."""
        return {place: index for index, place in enumerate(self.places(*HELD_OUT))}

    def places(self, *splits: str) -> list[int]:
        """Which rows are of these splits, in the order of the splits."""
        return [place for split in splits for place in self._by_split[split]]

    def take(self, places: Sequence[int]) -> list[Row]:
        """Some of the rows."""
        return [self.data.rows[place] for place in places]

    @cached_property
    def _by_split(self) -> dict[str, list[int]]:
        return places_by_split(self.data)


def places_by_split(data: TaskData) -> dict[str, list[int]]:
    """Which rows are of each split."""
    found: dict[str, list[int]] = {split: [] for split in SPLITS}
    for place, row in enumerate(data.rows):
        found[row.split].append(place)
    return found


class Archive:
    """Reads a registry for one run of a verb; what was read or computed is kept until it ends."""

    def __init__(self, registry: Registry, device: str = "auto", on_progress: Progress = silent) -> None:
        self.registry, self.on_progress = registry, on_progress
        self._device = device
        self._bases: dict[str, BaseModel] = {}
        self._rows: dict[tuple[str, int], TaskRows] = {}
        self._held_out: dict[FeatureKey, Tensor] = {}
        self._digests: dict[str, str] = {}
        self._alone: dict[str, MoE] = {}
        self._answers: Strays = {}
        self._known_strays: Strays | None = None
        self._strays: dict[tuple[str, str], set[int]] = {}
        self._asked = False

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
            self._rows[wanted] = TaskRows(self.registry, dataset, expert.kind)
        return self._rows[wanted]

    def look_up(self, experts: Sequence[Expert], reading: Reading) -> None:
        """Find out where all is kept that a pool needs: in two statements, not some for each expert."""
        found = looking_up.datasets(self.registry, [(one.task, one.dataset) for one in experts])
        names = []
        for expert in experts:
            wanted = expert.task, expert.dataset
            if wanted in found:
                self._rows.setdefault(wanted, TaskRows(self.registry, found[wanted], expert.kind))
                sha256 = found[wanted].sha256
                names += [held_out_name(reading.of(sha256)), answers_name(expert, sha256)]
        self._digests |= looking_up.cached(self.registry, names)

    def _cached(self, name: str) -> bytes | None:
        sha256 = self._digests.pop(name, None)
        if sha256 is not None:
            try:
                return self.registry.blobs.get(sha256)
            except DamagedError:
                self.on_progress("reading caches", 0, 1, "one is damaged and is computed again")
        return self.registry.features(name)

    def features(self, reading: Reading, rows: TaskRows, places: Sequence[int]) -> Tensor:
        """Pooled states of some rows, `(places, layers, 2, hidden)`."""
        if list(places) == list(rows.held_out):
            return self._kept(reading, rows)
        if rows.held_out.keys() >= {*places}:
            return self._kept(reading, rows)[[rows.held_out[place] for place in places]]
        return self._whole(reading, rows)[list(places)]

    def split(self, reading: Reading, rows: TaskRows, split: str) -> Tensor:
        """Pooled states of the rows of a split; of a held-out one, without looking at the rows."""
        if split not in HELD_OUT:
            return self._whole(reading, rows)[rows.places(split)]
        counts = [rows.dataset.rows[each] for each in HELD_OUT]
        return self._kept(reading, rows).split(counts)[HELD_OUT.index(split)]

    def sums(self, reading: Reading, experts: Sequence[Expert]) -> RidgeSums:
        """The sums over the training rows of each expert in turn."""
        pool = [self.rows(expert) for expert in experts]
        own = {rows.dataset.sha256: rows for rows in pool}

        def features(dataset_sha256: str) -> Tensor | None:
            if dataset_sha256 in own:
                return self.split(reading, own[dataset_sha256], "train").flatten(1)
            return self._gone(reading.of(dataset_sha256))

        name = key(base_model=reading.base_model, reading=to_json(reading))
        file = SumsFile(self.registry.cache / "sums", name)
        return Summing(file, features, self.on_progress).total([rows.dataset.sha256 for rows in pool])

    def _kept(self, reading: Reading, rows: TaskRows) -> Tensor:
        """Those of all held-out rows; they stay in memory."""
        wanted = reading.of(rows.dataset.sha256)
        if wanted not in self._held_out:
            self._held_out[wanted] = held_out_of(
                self.registry,
                wanted,
                sum(rows.dataset.rows[split] for split in HELD_OUT),
                lambda: self._whole(reading, rows)[list(rows.held_out)],
                self._cached,
            )
        return self._held_out[wanted]

    def _whole(self, reading: Reading, rows: TaskRows) -> Tensor:
        wanted = reading.of(rows.dataset.sha256)
        base = reading.base_model
        return features_of(self.registry, lambda: self.base(base), wanted, rows.data, self.on_progress)

    def _gone(self, wanted: FeatureKey) -> Tensor | None:
        """The training features of a dataset that no expert here uses any more, if they are still kept."""
        whole = known_features(self.registry, wanted)
        if whole is None:
            return None
        content = self.registry.blobs.get(wanted.dataset_sha256)
        return whole[places_by_split(TaskData.from_jsonl(content, kind="", labels=()))["train"]].flatten(1)

    def answers(self, expert: Expert, rows: TaskRows, places: Sequence[int]) -> list[str]:
        """What an expert answers to some rows, be they of its own task or of another."""
        self.ask(expert, [(rows, places)])
        known = self._answers[expert.sha256, rows.dataset.sha256]
        return [known[place] for place in places]

    def ask(self, expert: Expert, wanted: Sequence[tuple[TaskRows, Sequence[int]]]) -> None:
        """Have an expert's answers to some rows of several tasks: those that are not known, all at once."""
        missing = []
        for rows, places in wanted:
            pair = (expert.sha256, rows.dataset.sha256)
            if pair not in self._answers:
                self._answers[pair] = self._recorded(expert, rows)
            missing += [(rows, pair, place) for place in sorted({*places} - {*self._answers[pair]})]
            if rows.dataset.task != expert.task:
                self._strays.setdefault(pair, set()).update(places)
        if missing:
            texts = inputs([rows.data.rows[place] for rows, _, place in missing])
            for (_, pair, place), given in zip(missing, self._ask(expert).predict(texts), strict=True):
                assert given.label is not None  # A forced expert always answers.
                self._answers[pair][place] = given.label
            self._asked = True

    def keep_strays(self, base_model: str) -> None:
        """Keep the answers to rows of other tasks, for the next refit: where this one's routers sent rows
        astray, the next one's mostly will. What was kept before and not looked at is given up."""
        if self._asked:
            kept = {
                pair: {place: self._answers[pair][place] for place in sorted(places)}
                for pair, places in self._strays.items()
            }
            keep_strays(self.registry, base_model, kept)
            self._asked = False

    def _recorded(self, expert: Expert, rows: TaskRows) -> dict[int, str]:
        if rows.dataset.task != expert.task:
            if self._known_strays is None:
                self._known_strays = strays_of(self.registry, expert.base_model)
            return self._known_strays.get((expert.sha256, rows.dataset.sha256), {})
        recorded = answers_of(self._cached, expert, rows.dataset) or []
        return {place: answer for place, answer in enumerate(recorded) if answer is not None}

    def _ask(self, expert: Expert) -> MoE:
        if expert.name not in self._alone:
            base = self.base(expert.base_model)
            self._alone[expert.name] = MoE.load(self.registry, expert=expert.name, base=base)
        return self._alone[expert.name]
