"""How long work reports where it is. The front end decides what to draw."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

Progress = Callable[[str, int, int, str], None]
"""`(stage, done, total, note)`: `stage` names the work, `done` of `total` steps are finished, `note` is a
short remark."""

Curve = Sequence[Mapping[str, Any]]
"""What was measured after each epoch, oldest first: `{"epoch": 1, "loss": 0.7, ...}`."""


@runtime_checkable
class DrawsCurve(Protocol):
    """A reporter that also wants the numbers behind the notes."""

    def draw(self, curve: Curve) -> None:
        """Take the curve as it is so far; the next step reports it."""


def silent(stage: str, done: int, total: int, note: str) -> None:
    """Report nothing."""


def draw(reporter: object, curve: Curve) -> None:
    """Hands a curve to a reporter that draws curves; others do without."""
    if isinstance(reporter, DrawsCurve):
        reporter.draw(curve)


class Labelled:
    """Reports to another reporter what one of several pieces of work does."""

    def __init__(self, reporter: Progress, label: str) -> None:
        self._reporter = reporter
        self._label = label

    def draw(self, curve: Curve) -> None:
        """Pass the curve on."""
        draw(self._reporter, curve)

    def __call__(self, stage: str, done: int, total: int, note: str) -> None:
        """One step."""
        self._reporter(f"{self._label}: {stage}", done, total, note)


class Stopped(BaseException):
    """Raised by a reporter to end the work at this step, in good order: what can be kept is kept."""
