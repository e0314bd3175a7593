"""What is settled before experts are mixed, and what is told of it afterwards."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from registry import Expert, Generation, Registry
from trainer.data import TaskData
from trainer.mixture_settings import MixtureSettings
from trainer.runs import Moment


@dataclass(frozen=True, kw_only=True)
class TrainedMixture:
    """What came of `train_mixture`.

    Attributes:
        created: False when these experts, rows and settings are a generation already.
        experts: that it mixes; came_from: those that were named. The same where they were frozen.
        metrics: by split; `perplexity` of the rows that are written, `accuracy`, the mean credit, of others.
        findings: what a person should know about the rows.
    """

    generation: Generation
    created: bool
    experts: tuple[str, ...]
    came_from: tuple[str, ...]
    rows: dict[str, int]
    metrics: dict[str, dict[str, float]]
    history: list[dict[str, Any]]
    findings: tuple[str, ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "generation": self.generation.name,
            "router": self.generation.router,
            "created": self.created,
            "experts": list(self.experts),
            "came_from": list(self.came_from),
            "frozen": self.experts == self.came_from,
            "parameters": self.generation.parameters,
            "rows": self.rows,
            "metrics": self.metrics,
            "history": self.history,
            "findings": list(self.findings),
            "seconds": self.seconds,
        }


class MixturePlan:
    """What is settled before training; `facts` are stored with the generation and decide its bytes."""

    def __init__(
        self, registry: Registry, chosen: Sequence[Expert], rows: TaskData, settings: MixtureSettings
    ) -> None:
        self.registry, self.chosen, self.rows, self.settings = registry, list(chosen), rows, settings
        self.digest = sha256(rows.to_jsonl()).hexdigest()
        self.facts = {
            **asdict(settings),
            "experts": [one.name for one in chosen],
            "corpus": {"sha256": self.digest, "source": Path(rows.source).name, "rows": rows.counts()},
        }

    def there(self) -> Generation | None:
        """The newest generation that the same would give again: from the same experts, or from those that
        these came from."""
        wanted = _compared(self.facts)
        for one in reversed(self.registry.generations()):
            known = one.config.get("settings", {})
            if "corpus" in known and self.facts["experts"] in (known["experts"], list(one.experts)):
                if _compared(known) == wanted:
                    return one
        return None

    def told(self, generation: Generation, started: Moment) -> TrainedMixture:
        """What came of it, from what is on record."""
        metrics: dict[str, dict[str, float]] = {}
        for one in self.registry.evaluations(generation.name)[::-1]:
            if one.task is None:
                metrics.setdefault(one.split, {})[one.metric] = one.value
        return self.result(generation, metrics, started, created=False)

    def result(
        self,
        generation: Generation,
        metrics: dict[str, dict[str, float]],
        started: Moment,
        *,
        created: bool,
        remarks: Sequence[str] = (),
    ) -> TrainedMixture:
        """Of a generation on record."""
        return TrainedMixture(
            generation=generation,
            created=created,
            experts=generation.experts,
            came_from=tuple(generation.config["settings"]["experts"]),
            rows=self.rows.counts(),
            metrics=metrics,
            history=self.registry.run(generation.run).history,
            findings=(*self.rows.findings, *remarks),
            seconds=started.elapsed(),
        )


def _compared(facts: dict[str, Any]) -> dict[str, Any]:
    """What two mixtures must have alike to be the same, but for their experts."""
    return {**facts, "experts": None, "corpus": facts["corpus"]["sha256"]}
