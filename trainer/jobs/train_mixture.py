"""`train_mixture`: experts and a gate over their tokens become the next generation."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from registry import Job, Registry
from registry.aliases import user
from trainer.corpora import read_corpus
from trainer.jobs import describe, given
from trainer.mixture_settings import mixture_settings_of as settings_of
from trainer.progress import Progress
from trainer.selection import choose_several


def submit(
    registry: Registry,
    data: str | Path,
    *,
    experts: Sequence[str],
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    actor: str | None = None,
    **columns: Any,
) -> Job:
    """Read and check rows, and ask for a mixture of experts. The file is not needed any more afterwards.

    Args:
        settings: fields of `MixtureSettings`, where they differ from its defaults.
        actor: who is on record for the move of the alias; by default who asks, whoever runs the worker.
        columns: `text`, `text_pair`, `label`: as of `trainer.train_mixture`.

    Raises:
        DataRefusedError, NotFoundError, ConflictError, InvalidSettingError: as `trainer.train_mixture`.
    """
    settings_of(settings or {})
    chosen = choose_several(registry, experts)
    described, content = describe(read_corpus(data, chosen, **columns))
    params = {
        "rows": described,
        "experts": [expert.name for expert in chosen],
        "settings": {name: value for name, value in (settings or {}).items() if value is not None},
        "device": device,
        "actor": actor or user(),
    }
    return registry.jobs.enqueue("train_mixture", params, inputs=[content], exclusive_key="train_mixture")


def run(
    registry: Registry,
    job: Job,
    *,
    on_progress: Progress,
    finish: Callable[[dict[str, Any]], object],
    guard: Callable[[], object],
) -> None:
    """Train and freeze the mixture."""
    from trainer.pipeline import mix_rows

    asked = job.params
    mix_rows(
        registry,
        asked["experts"],
        given(registry, job),
        settings=settings_of(asked["settings"]),
        device=asked["device"],
        actor=asked["actor"],
        on_progress=on_progress,
        finish=lambda made: finish(made.as_json()),
        guard=guard,
    )
