"""Progress on stderr: bars with time left on a terminal, one plain line per stage elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[str, int, int, str], None]
"""`(stage, done, total, note)`, as `trainer.progress.Progress`."""


@contextmanager
def reporting(*, time_left: bool = True) -> Iterator[Report]:
    """A reporter that draws while the block runs and leaves the terminal clean behind it.

    Args:
        time_left: guess it from the pace; False when the notes say it.
    """
    if not sys.stderr.isatty():
        yield _plain_reporter()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = [
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        *([TimeRemainingColumn()] if time_left else []),
        TextColumn("{task.fields[note]}", markup=False),
    ]
    # What is printed meanwhile goes above the bars, unless it goes into a file.
    shared = sys.stdout.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=shared) as bars:
        stages: dict[str, int] = {}

        def report(stage: str, done: int, total: int, note: str) -> None:
            if stage not in stages:
                from rich.markup import escape

                stages[stage] = int(bars.add_task(escape(stage), total=None, note=""))
            # A total of 0 means that nobody knows how much there is: a bar that swings.
            bars.update(stages[stage], completed=done, total=total or None, note=note)  # type: ignore[arg-type]

        yield report


def _plain_reporter() -> Report:
    told: set[str] = set()

    def report(stage: str, done: int, total: int, note: str) -> None:
        if stage not in told:
            told.add(stage)
            print(stage + (f" ({note})" if note else ""), file=sys.stderr, flush=True)

    return report
