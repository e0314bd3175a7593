"""How long the next generation takes when a task has been added.

Times are taken on made features with the widths of the default base model (3 layers x 2 x 576 numbers a
row): drawn at random, each task a cloud of its own. Rows, texts and answers are made too, and answers to rows
of other tasks are put into the cache beforehand, as earlier generations would have left them: no base model
runs. How well routers choose: `benchmarks.routing`.

    python -m benchmarks.router [--tasks 100] [--rows 400] [--work DIR] [--json]
"""

import argparse
import gc
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import pools
from benchmarks.measure import Report, drawing, parser, set_threads, spread, tell
from registry import Expert, Registry
from trainer import kinds
from trainer.pipeline import retrain_router
from trainer.pipeline.archive import Archive, TaskRows
from trainer.pipeline.fitting import PoolExamples, fit, pool_reading
from trainer.routers import closed_form
from trainer.sums import RidgeSums

OTHERS = ("noisy_top1", "lexical", "trigrams", "late_fusion")
SLOW = 3
"""Rounds of what takes many seconds."""


def main() -> None:
    """Measure, and print a table or JSON."""
    options = arguments()
    set_threads(options.threads)
    report = Report("Refitting the router")
    with Registry(options.work / f"made-{options.rows}") as registry:
        pools.make(registry, max([options.tasks, *options.sizes]) + 1, options.rows)
        times = {size: refits(registry, size, options) for size in sorted({options.tasks, *options.sizes})}
    for size, runs in times.items():
        report.table += [{"tasks": size, "what": what, "seconds": spread(runs[what])} for what in runs]
    report.ratios = ratios(times[options.tasks], options)
    report.floor = floor(options.tasks, options.rows)
    report.notes = notes(options)
    plot(options, times)
    report.show(as_json=options.json)


def arguments() -> argparse.Namespace:
    """The command line."""
    made = parser(__doc__)
    made.add_argument("--tasks", type=int, default=100, help="tasks before one is added [default: 100]")
    made.add_argument("--rows", type=int, default=400, help="rows of a task [default: 400]")
    made.add_argument("--sizes", type=int, nargs="*", default=[10, 30, 300], help="other numbers of tasks")
    options = made.parse_args()
    options.plot = options.plot or options.work / "router.svg"
    return options


class Answered(Archive):
    """An archive whose experts answer everything with their first label: made experts cannot answer."""

    def ask(self, expert: Expert, wanted: Sequence[tuple[TaskRows, Sequence[int]]]) -> None:
        """Take the answers as given."""
        for rows, places in wanted:
            if rows.dataset.task != expert.task:
                pair = expert.sha256, rows.dataset.sha256
                self._answers.setdefault(pair, {}).update(dict.fromkeys(places, expert.labels[0]))
                self._strays.setdefault(pair, set()).update(places)
                self._asked = True
        super().ask(expert, wanted)


def refits(registry: Registry, size: int, options: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of each way to come from `size` tasks to one more."""
    experts = registry.experts()[: size + 1]
    kept = registry.cache / "sums"
    before = options.work / f"sums-{size}"
    prepare(registry, experts, kept, before)
    seeds = iter(range(int(time.time()), 1 << 31))

    def start(folder: Path | None) -> None:
        shutil.rmtree(kept, ignore_errors=True)
        if folder is not None:
            shutil.copytree(folder, kept)

    def whole() -> None:
        names = [expert.name for expert in experts]
        retrain_router(
            registry, router="closed_form", experts=names, seed=next(seeds), promote=False, device="cpu"
        )

    quick = {
        "closed_form, fit": lambda: fit_alone(registry, experts, "closed_form"),
        "closed_form, whole retrain_router": whole,
    }
    runs: dict[str, list[float]] = {what: [] for what in quick}
    for number in range(options.repeats + 1):
        for what, run in quick.items():
            start(before)
            seconds = stopped(run)
            if number:
                runs[what].append(seconds)
        tell(f"{size} tasks: round {number} of {options.repeats}")
    slow = {"closed_form, rebuilt from the features": "closed_form"} | {
        f"{kind}, fit": kind for kind in OTHERS
    }
    for what, kind in slow.items():
        runs[what] = []
        for _ in range(min(SLOW, options.repeats)):
            start(None)
            runs[what].append(stopped(lambda kind=kind: fit_alone(registry, experts, kind)))
            tell(f"{size} tasks: {what} {runs[what][-1]:.1f} s")
    return runs


def stopped(run: Callable[[], object]) -> float:
    """Seconds of one run, with garbage collected before and not meanwhile."""
    gc.collect()
    gc.disable()
    try:
        started = time.perf_counter()
        run()
        return time.perf_counter() - started
    finally:
        gc.enable()


def prepare(registry: Registry, experts: Sequence[Expert], kept: Path, before: Path) -> None:
    """The home as it is when the last task has just been added: a generation of the others in production, its
    sums kept, and answers to what goes astray now or then."""
    archive = Answered(registry, "cpu")
    modules = {"closed_form": closed_form}
    shutil.rmtree(kept, ignore_errors=True)
    fit(archive, modules, experts[:-1], 0, "one")
    shutil.rmtree(before, ignore_errors=True)
    shutil.copytree(kept, before)
    fit(archive, modules, experts, 0, "one")
    archive.keep_strays(experts[0].base_model)
    names = [expert.name for expert in experts[:-1]]
    seed = len(registry.generations())
    retrain_router(registry, router="closed_form", experts=names, seed=seed, promote=True, device="cpu")


def fit_alone(registry: Registry, experts: Sequence[Expert], kind: str) -> None:
    """Fit one router, with the reading of all that it needs."""
    archive, reading = Archive(registry, "cpu"), pool_reading(registry, experts, "one")
    training, validation = (
        PoolExamples(archive, experts, split, reading) for split in ("train", "validation")
    )
    module = kinds.load("routers", kind)
    module.fit(module.Config(), training, validation, len(experts), 0)


def ratios(runs: dict[str, list[float]], options: argparse.Namespace) -> dict[str, float | None]:
    """The figures that targets are set for."""
    with Registry(options.work / f"made-{options.rows}") as registry:
        difference = joint_difference(registry, registry.experts()[: min(options.tasks, 30) + 1])
    return {
        f"refit_seconds_{options.tasks}_tasks": spread(runs["closed_form, fit"]).median,
        f"retrain_router_seconds_{options.tasks}_tasks": spread(
            runs["closed_form, whole retrain_router"]
        ).median,
        **{
            f"refit_{kind}_seconds_{options.tasks}_tasks": spread(runs[f"{kind}, fit"]).median
            for kind in OTHERS
        },
        f"rebuild_seconds_{options.tasks}_tasks": spread(
            runs["closed_form, rebuilt from the features"]
        ).median,
        "joint_fit_difference": difference,
    }


def joint_difference(registry: Registry, experts: Sequence[Expert]) -> float:
    """Largest difference of a weight, as a share of the largest weight, between sums that came to these
    experts task by task, with removals on the way, and ordinary normal equations over all rows at once."""
    archive, reading = Archive(registry, "cpu"), pool_reading(registry, experts, "one")
    for pool in (experts[:-1], experts[1:], experts):
        sums: RidgeSums = archive.sums(reading, pool)
    found = sums.system().solve(0.01)[0]
    rows = [archive.split(reading, archive.rows(one), "train").flatten(1).double() for one in experts]
    means = torch.stack([one.mean(0) for one in rows])
    x = torch.cat([(one - means.mean(0)) / len(one) ** 0.5 for one in rows]) / len(rows) ** 0.5
    covariance = x.T @ x
    scale = covariance.diagonal().sqrt()
    damped = covariance / torch.outer(scale, scale) + 0.01 * torch.eye(len(scale), dtype=torch.float64)
    cross = (means - means.mean(0)) / scale / len(rows)
    wanted = torch.linalg.solve(damped, cross.T).T / scale
    return ((found - wanted).abs().max() / wanted.abs().max()).item()


def floor(tasks: int, rows: int) -> dict[str, Any]:
    """What a refit by `closed_form` costs at least."""
    width = len(pools.LAYERS) * 2 * pools.WIDTH
    held_out, training = tasks * rows // 5, rows * 4 // 5
    return {
        "features of a row": width,
        "GFLOP: Gram matrix of the new task, float64": training * width**2 / 1e9,
        "GFLOP: one Cholesky factor": width**3 / 3 / 1e9,
        "GFLOP: two triangular solves": 2 * width**2 * tasks / 1e9,
        "GFLOP: scores of the validation rows": held_out * width * tasks / 1e9,
        "MB read: totals": 2 * 8 * width**2 / 2 / 1e6,
        "MB read: held-out rows": 4 * held_out * width / 1e6,
        "MB read: the new task": 4 * rows * width / 1e6,
        "MB that all features have": 4 * tasks * rows * width / 1e6,
    }


def notes(options: argparse.Namespace) -> list[str]:
    """How it was measured."""
    return [
        __doc__ or "",
        f"`closed_form`: medians of {options.repeats} after one that does not count, the two interleaved; "
        f"the others: of {min(SLOW, options.repeats)}.",
        "The files are in the page cache. A fit reads its caches, solves, and keeps the new totals; the "
        "whole call also measures on all held-out rows, compares with production, and publishes.",
    ]


def plot(options: argparse.Namespace, times: dict[int, dict[str, list[float]]]) -> None:
    """Seconds against number of tasks."""
    with drawing(
        options.plot, title="The next generation after one more task", across="tasks", up="seconds"
    ) as axes:
        for what in times[options.tasks]:
            axes.plot(list(times), [spread(runs[what]).median for runs in times.values()], "o-", label=what)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.legend()


if __name__ == "__main__":
    main()
