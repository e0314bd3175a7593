"""How long the registry's own queries take when it is large, and how long adding a version takes.

    python -m benchmarks.registry [--experts 10000] [--generations 1000] [--work FOLDER] [--json]

The home is made once in `--work`: 10 versions of each task, generations that grow from one expert to 300 with
everything that is measured of them, a gate's verdict on every tenth, 2,000 jobs. Then every query is called
`--calls` times with another expert, generation or page each time, all of them in turn, so that a slow moment
hits all. New versions are added to a copy of the database, through the same call that training makes, with
files of the usual size (136 kB) and everything forced to the disk.
"""

import argparse
import gc
import random
import shutil
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import scale
from benchmarks.measure import Report, drawing, parser, tell
from registry import Registry, audit, measured
from registry.database import migrate
from registry.sqlite import driver, journal_mode
from ui import cards

TARGET = 20.0
"""Milliseconds."""
PAGE = 100
SLOTS, JOBS = 300, 2000
PARAMETERS = 33_920
"""Of an expert of the default base model."""

Call = Callable[[], object]


def main() -> None:
    """Measure, and print a table or JSON."""
    options = _options()
    folder = _home(options)
    timings: dict[str, list[tuple[float, float]]] = {}
    with Registry(folder) as registry:
        listings, lineages = _listings(registry, options.seed), _lineages(registry, options.seed)
        timings |= sample(listings | lineages, options.calls)
        timings |= sample(_whole(registry), max(3, options.calls // 20))
    timings |= _adding(folder, options)
    _report(options, folder, timings, list(listings), list(lineages)).show(as_json=options.json)


def _options() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--experts", type=int, default=10_000)
    made.add_argument("--generations", type=int, default=1_000)
    made.add_argument("--calls", type=int, default=200, help="of every query [default: 200]")
    made.add_argument("--seed", type=int, default=0)
    return made.parse_args()


def _home(options: argparse.Namespace) -> Path:
    tasks = max(1, options.experts // 10)
    folder = scale.home(
        options.work,
        experts=options.experts,
        tasks=tasks,
        generations=options.generations,
        slots=min(SLOTS, tasks),
        jobs=JOBS,
        on_progress=lambda stage, done, total, _: tell(f"{stage}: {done:,} of {total:,}"),
    )
    migrate(folder)
    return folder


def sample(calls: Mapping[str, Call], times: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds and seconds of this process's computing of each call, by name; garbage waits between rounds."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for turn in range(-2, times):
        gc.collect()
        gc.disable()
        for name, call in calls.items():
            begun, busy = time.perf_counter(), time.process_time()
            call()
            spent = (time.perf_counter() - begun, time.process_time() - busy)
            if turn >= 0:
                found[name].append(spent)
        gc.enable()
    return found


def _listings(registry: Registry, seed: int) -> dict[str, Call]:
    draw = random.Random(seed)
    experts = [expert.name for expert in registry.experts(all_versions=True)]
    tasks = [task.name for task in registry.tasks()]
    generations = [one.name for one in measured.summaries(registry)]
    jobs = [job.id for job in registry.jobs.list()]
    expert, task = (lambda: draw.choice(experts)), (lambda: draw.choice(tasks))
    generation = lambda: draw.choice(generations)  # noqa: E731
    page = lambda: audit.events(registry, offset=PAGE * draw.randrange(100))  # noqa: E731
    return {
        "tasks(), all": registry.tasks,
        f"experts(limit={PAGE}), a page of the newest": lambda: registry.experts(limit=PAGE, after=expert()),
        f"experts(all_versions=True, limit={PAGE}), a page": lambda: registry.experts(
            all_versions=True, limit=PAGE, after=expert()
        ),
        "experts(task, all_versions=True)": lambda: registry.experts(task(), all_versions=True),
        f"generations(limit={PAGE // 4}), a page": lambda: registry.generations(
            limit=PAGE // 4, after=generation()
        ),
        "measured.summaries(newest=100), the router's list": lambda: measured.summaries(
            registry, newest=PAGE
        ),
        "aliases(), all": registry.aliases,
        "base_models(), all": registry.base_models,
        "datasets(task)": lambda: registry.datasets(task()),
        f"jobs.list(limit={PAGE})": lambda: registry.jobs.list(limit=PAGE),
        f'jobs.list("cancelled", limit={PAGE})': lambda: registry.jobs.list("cancelled", limit=PAGE),
        "jobs.get(job)": lambda: registry.jobs.get(draw.choice(jobs)),
        "audit.events(), a page of 100": page,
        'audit.events(kinds=("alias",)), a page': lambda: audit.events(
            registry, audit.Wanted(kinds=("alias",))
        ),
        "audit.events(subject=expert)": lambda: audit.events(registry, audit.Wanted(subject=expert())),
        "expert(name)": lambda: registry.expert(expert()),
        "expert(task), its newest": lambda: registry.expert(task()),
        "generation(name)": lambda: registry.generation(generation()),
        "generation(), in production": registry.generation,
        "evaluations(expert)": lambda: registry.evaluations(expert()),
        "evaluations(generation)": lambda: registry.evaluations(generation()),
        "history(limit=20), of production": lambda: registry.history(limit=20),
        "show of an expert": lambda: cards.card(registry, expert()),
        "show of a task": lambda: cards.card(registry, task()),
        "show of a generation": lambda: cards.card(registry, generation()),
        "diff of two experts": lambda: _diff(registry, expert(), expert()),
        "diff of two generations": lambda: _diff(registry, generation(), generation()),
    }


def _lineages(registry: Registry, seed: int) -> dict[str, Call]:
    draw = random.Random(seed)
    experts = [expert.name for expert in registry.experts(all_versions=True)]
    generations = [one.name for one in measured.summaries(registry)]
    largest = generations[-1]
    return {
        "lineage(expert), any": lambda: registry.lineage(draw.choice(experts)),
        "lineage(expert), one that all generations use": lambda: registry.lineage("task_0000@1"),
        "lineage(generation), any": lambda: registry.lineage(draw.choice(generations)),
        "lineage(generation), the largest": lambda: registry.lineage(largest),
    }


def _diff(registry: Registry, first: str, second: str) -> object:
    return cards.differences(cards.card(registry, first), cards.card(registry, second))


def _whole(registry: Registry) -> dict[str, Call]:
    """Listings that are as long as the registry is large: for exports, not for people."""
    return {
        "experts(), the newest of every task": registry.experts,
        "experts(all_versions=True), all": lambda: registry.experts(all_versions=True),
        "generations(), all, with their experts": registry.generations,
        "measured.summaries(), all generations": lambda: measured.summaries(registry),
        "jobs.list(), all": registry.jobs.list,
        "history(), every move with its verdict": registry.history,
    }


def _adding(folder: Path, options: argparse.Namespace) -> dict[str, list[tuple[float, float]]]:
    """New versions, in a copy of the database."""
    copy = folder.with_suffix(".written")
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(mode=0o700)
    shutil.copyfile(folder / "registry.db", copy / "registry.db")
    draw = random.Random(options.seed)
    tasks = max(1, options.experts // 10)
    number = iter(range(10_000_000, 20_000_000))
    try:
        with Registry(copy) as registry:

            def expert() -> None:
                task = scale.task_name(draw.randrange(tasks))
                scale.add_expert(registry, task, 1, next(number), size=PARAMETERS)

            prepared = {
                size: scale.measures([scale.task_name(place) for place in range(size)], size)
                for size in {draw.randrange(1, min(SLOTS, tasks) + 1) for _ in range(50)}
            }

            def generation() -> None:
                size = draw.choice(list(prepared))
                names = [f"{scale.task_name(place)}@1" for place in range(size)]
                scale.add_generation(registry, names, next(number), prepared[size])

            return sample(
                {"add_expert, 136 kB": expert, f"add_generation, 1 to {SLOTS} experts": generation},
                options.calls,
            )
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _report(
    options: argparse.Namespace,
    folder: Path,
    timings: Mapping[str, list[tuple[float, float]]],
    listings: list[str],
    lineages: list[str],
) -> Report:
    p95 = {name: percentile([wall for wall, _ in spent], 95) for name, spent in timings.items()}
    report = Report(
        f"registry: {options.experts:,} experts, {options.generations:,} generations",
        table=[_row(name, spent, name in {*listings, *lineages}) for name, spent in timings.items()],
        ratios={
            "lineage_p95_ms_10k": max(p95[name] for name in lineages),
            "listing_p95_ms_10k": max(p95[name] for name in listings),
            "add_expert_p95_ms_10k": next(p95[name] for name in p95 if name.startswith("add_expert")),
            "add_generation_p95_ms_10k": next(p95[name] for name in p95 if name.startswith("add_generation")),
        },
        notes=[
            f"The database has {(folder / 'registry.db').stat().st_size / 1e6:,.0f} MB; SQLite "
            f"{driver.sqlite_version}, journal {journal_mode()}. Each figure is of {options.calls} calls.",
            "`busy` is the time that this process computed, which others on the machine make longer, too.",
        ],
    )
    with drawing(options.plot, title=report.name, across="p95 in ms", up="") as axes:
        shown = [*lineages, *listings, *(name for name in timings if name.startswith("add_"))]
        axes.barh(range(len(shown)), [p95[name] for name in shown])
        axes.set_yticks(range(len(shown)), shown, fontsize=6)
        axes.axvline(TARGET, color="crimson", label=f"target, {TARGET:.0f} ms")
        axes.legend()
    return report


def _row(name: str, spent: list[tuple[float, float]], has_target: bool) -> dict[str, Any]:
    walls, busy = [wall for wall, _ in spent], [cpu for _, cpu in spent]
    p95 = percentile(walls, 95)
    aimed = has_target or name.startswith("add_")
    return {
        "call": name,
        "p50 ms": round(1e3 * statistics.median(walls), 2),
        "p95 ms": round(p95, 2),
        "busy p50 ms": round(1e3 * statistics.median(busy), 2),
        "busy p95 ms": round(percentile(busy, 95), 2),
        "target": ("reached" if p95 < TARGET else "missed") if aimed else "none",
    }


def percentile(seconds: list[float], share: int) -> float:
    """A percentile, in milliseconds."""
    return 1e3 * statistics.quantiles(seconds, n=100, method="inclusive")[share - 1]


if __name__ == "__main__":
    main()
