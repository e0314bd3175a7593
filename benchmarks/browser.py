"""A team at work on one server: people browse, upload and train, shells write, and nothing may go wrong.

    python -m benchmarks.browser [--minutes 10] [--clients 50] [--work FOLDER] [--json] [--plot FILE]

A real server with its own worker, on a home with two tasks and a router on the tiny model of the tests.
`--clients` people look at all tabs, through the functions that the pages call, and think for 1 to 3 seconds
between two looks; each holds the connection that an open page holds. 5 more upload a file and look at its
preview, one trains an expert after the other, and two shells move aliases with the `registry` command. Each
function is called once before: the first call that needs torch waits until that is imported.
"""

import argparse
import asyncio
import statistics
from pathlib import Path
from typing import Any

from benchmarks.measure import Report, drawing, parser, tell
from benchmarks.team import THINK, Outcome, Team
from tests.ui.commands import train
from tests.ui.server.serving import serving

LOCKED = "database is locked"
UPLOADERS, SHELLS = 5, 2


def main() -> None:
    """Measure, and print a table or JSON."""
    made = parser(__doc__)
    made.add_argument("--minutes", type=float, default=10.0)
    made.add_argument("--clients", type=int, default=50)
    options = made.parse_args()
    home = _home(options.work / "team")
    with serving(home) as server:
        team = Team(server, 60 * options.minutes, options.work)
        first = asyncio.run(team.warm_up())
        outcome = asyncio.run(team.work(options.clients, UPLOADERS, SHELLS))
        # Before the server is stopped, which says so when it has printed anything.
        _report(outcome, first, options).show(as_json=options.json)


def _home(folder: Path) -> Path:
    from tests.tiny_models import tiny_llama

    if not (folder / "made").exists():
        folder.mkdir(parents=True, exist_ok=True)
        train(folder, tiny_llama(folder / "base"))
        (folder / "made").touch()
    return folder / "home"


def _report(outcome: Outcome, first: dict[str, float], options: argparse.Namespace) -> Report:
    every = [seconds for times in outcome.reads.values() for seconds in times]
    kinds = {"every look": every, **dict(sorted(outcome.reads.items())), **outcome.writes}
    report = Report(
        f"browser: {options.clients} clients for {options.minutes:g} minutes",
        table=[_row(name, times) for name, times in kinds.items() if times],
        ratios={
            "read_p95_s": percentile(every, 95),
            "errors": len(outcome.errors),
            "database_is_locked": sum(LOCKED in error for error in outcome.errors),
            "memory_growth_mb": round(outcome.growth(1) / 1e6, 1),
            "open_files_growth": outcome.growth(2),
            "experts_trained": outcome.trained,
            "first_call_s": round(max(first.values()), 2),
        },
        notes=[
            f"Think time {THINK[0]:g} to {THINK[1]:g} s; beside the clients {UPLOADERS} upload, one trains, "
            f"{SHELLS} shells write. Growth: median of the last quarter less that of the second.",
            *dict.fromkeys(outcome.errors),
        ],
    )
    with drawing(options.plot, title=report.name, across="seconds", up="memory in MB") as axes:
        seconds = [sample[0] for sample in outcome.samples]
        axes.plot(seconds, [sample[1] / 1e6 for sample in outcome.samples], label="memory")
        files = axes.twinx()
        files.plot(seconds, [sample[2] for sample in outcome.samples], color="C1", label="open files")
        files.set_ylabel("open files and connections")
        axes.set_ylim(bottom=0)
        files.set_ylim(bottom=0)
    tell(f"{len(every):,} looks, {len(outcome.errors)} errors")
    return report


def _row(name: str, times: list[float]) -> dict[str, Any]:
    return {
        "what": name,
        "times": len(times),
        **{f"p{share} s": round(percentile(times, share), 3) for share in (50, 95, 99)},
        "longest s": round(max(times), 3),
    }


def percentile(seconds: list[float], share: int) -> float:
    """A percentile."""
    if len(seconds) < 2:
        return seconds[0] if seconds else 0.0
    return statistics.quantiles(seconds, n=100, method="inclusive")[share - 1]


if __name__ == "__main__":
    main()
