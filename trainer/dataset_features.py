"""What is computed once for a dataset and kept: pooled features, and the answers of its own expert.

Both depend only on frozen things (base model, rows, layers, length limit, expert), so they are cached in the
registry under a key of exactly those. A cache that is gone or damaged is computed again.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from registry import Dataset, Expert, Registry
from registry import tensors as tensor_files
from registry.tensors import canonical_json
from trainer.base_model import BaseModel
from trainer.data import Row, TaskData
from trainer.encoding import encode
from trainer.inputs import Input
from trainer.progress import Progress, silent
from trainer.settings import key

Strays = dict[tuple[str, str], dict[int, str]]
"""`{(expert, dataset): {row: answer}}`, experts and datasets by their digests."""


@dataclass(frozen=True)
class FeatureKey:
    """What pooled features depend on."""

    base_model: str
    dataset_sha256: str
    layers: tuple[int, ...]
    max_length: int

    @property
    def name(self) -> str:
        """The cache key."""
        return "features-" + key(
            base_model=self.base_model,
            dataset=self.dataset_sha256,
            reading={"layers": list(self.layers), "max_length": self.max_length},
        )


def rows_of(registry: Registry, dataset: Dataset, kind: str) -> TaskData:
    """The rows of a dataset version, as they were frozen."""
    return TaskData.from_jsonl(registry.rows(dataset), kind=kind, labels=dataset.labels)


def inputs(rows: Sequence[Row]) -> list[Input]:
    """What rows ask."""
    return [row.input for row in rows]


def keep_features(registry: Registry, wanted: FeatureKey, features: Tensor) -> None:
    """Cache pooled features `(rows, layers, 2, hidden)` of a whole dataset, rows in its order."""
    content = tensor_files.pack({"features": features.numpy()}, {"layers": list(wanted.layers)})
    registry.add_features(
        wanted.name, content, {"dataset": wanted.dataset_sha256, "layers": list(wanted.layers)}
    )


def known_features(registry: Registry, wanted: FeatureKey) -> Tensor | None:
    """Pooled features of a dataset, if they are cached."""
    content = registry.features(wanted.name)
    return None if content is None else torch.from_numpy(tensor_files.unpack(content)[0]["features"].copy())


def features_of(
    registry: Registry,
    base: Callable[[], BaseModel],
    wanted: FeatureKey,
    data: TaskData,
    on_progress: Progress = silent,
) -> Tensor:
    """Pooled features of a dataset: cached, or computed now. `base` is called only if the model must run."""
    known = known_features(registry, wanted)
    if known is not None:
        return known
    model = base()
    found = encode(
        model, inputs(data.rows), layers=wanted.layers, max_length=wanted.max_length, on_progress=on_progress
    )
    keep_features(registry, wanted, found.features)
    return found.features


def held_out_of(
    registry: Registry,
    wanted: FeatureKey,
    count: int,
    compute: Callable[[], Tensor],
    cached: Callable[[str], bytes | None],
) -> Tensor:
    """The features of a dataset's held-out rows, `(count, layers, 2, hidden)`: all that choosing and
    measuring a router reads, so they are kept once more by themselves. `compute` is called where they are
    not; `cached` gives what is cached under a name."""
    name = held_out_name(wanted)
    content = cached(name)
    if content is not None:
        found = torch.from_numpy(tensor_files.unpack(content)[0]["features"])
        if len(found) == count:
            return found
    found = compute()
    content = tensor_files.pack({"features": found.numpy()}, {"layers": list(wanted.layers)})
    registry.add_features(name, content, {"dataset": wanted.dataset_sha256, "layers": list(wanted.layers)})
    return found


def keep_answers(
    registry: Registry, expert: Expert, dataset_sha256: str, answers: Sequence[str | None]
) -> None:
    """Cache what an expert answers to each row of a dataset, in its order; None where it was not asked."""
    content = canonical_json(list(answers)).encode()
    registry.add_features(answers_name(expert, dataset_sha256), content, {"expert": expert.sha256})


def held_out_name(wanted: FeatureKey) -> str:
    """Under which the features of a dataset's held-out rows are cached."""
    return f"held-out-{wanted.name}"


def answers_of(
    cached: Callable[[str], bytes | None], expert: Expert, dataset: Dataset
) -> list[str | None] | None:
    """What an expert answers to each row of a dataset; None when that is not cached."""
    content = cached(answers_name(expert, dataset.sha256))
    found: list[str | None] | None = None if content is None else json.loads(content)
    return found


def keep_strays(registry: Registry, base_model: str, answers: Strays) -> None:
    """Cache what experts on a base model answer to rows of other tasks, in place of what was kept before."""
    found = [
        {"expert": expert, "dataset": dataset, "places": list(given), "answers": list(given.values())}
        for (expert, dataset), given in sorted(answers.items())
    ]
    registry.add_features(
        _strays_name(base_model), canonical_json(found).encode(), {"base_model": base_model}
    )


def strays_of(registry: Registry, base_model: str) -> Strays:
    """What `keep_strays` kept; nothing when that is gone."""
    content = registry.features(_strays_name(base_model))
    return {
        (one["expert"], one["dataset"]): dict(zip(one["places"], one["answers"], strict=True))
        for one in ([] if content is None else json.loads(content))
    }


def _strays_name(base_model: str) -> str:
    return f"strays-{base_model}"


def answers_name(expert: Expert, dataset_sha256: str) -> str:
    """Under which an expert's answers to the rows of a dataset are cached."""
    return "answers-" + key(expert=expert.sha256, dataset=dataset_sha256)
