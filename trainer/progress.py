"""How long work reports where it is. The front end decides what to draw."""

from collections.abc import Callable

Progress = Callable[[str, int, int, str], None]
"""`(stage, done, total, note)`: `stage` names the work, `done` of `total` steps are finished, `note` is a
short remark."""


def silent(stage: str, done: int, total: int, note: str) -> None:
    """Report nothing."""


class Stopped(BaseException):
    """Raised by a reporter to end the work at this step, in good order: what can be kept is kept."""
