"""What is put on record of a run: when it began and ended, with which settings and library versions."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from registry.records import RunFacts

LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "numpy")
"""Those whose arithmetic or file format a result depends on."""


@dataclass(frozen=True)
class Moment:
    """When a run began: by the calendar, and by the clock that never jumps."""

    date: datetime
    clock: float

    @classmethod
    def now(cls) -> "Moment":
        """This moment."""
        return cls(datetime.now(UTC), time.monotonic())

    def elapsed(self) -> float:
        """Seconds since then."""
        return time.monotonic() - self.clock

    def run(
        self, *, kind: str, settings: dict[str, Any], seed: int, history: list[dict[str, Any]]
    ) -> RunFacts:
        """The run that began then and ends now."""
        return RunFacts(
            kind=kind,
            settings=settings,
            seed=seed,
            versions={name: version(name) for name in LIBRARIES},
            history=history,
            started_at=self.date,
            finished_at=datetime.now(UTC),
            seconds=self.elapsed(),
        )
