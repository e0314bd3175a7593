"""What all benchmarks share: competitors timed run by run side by side, the machine they ran on, and the
report.

A run is a function without arguments. In each round every competitor runs once, in an order that changes
from round to round, so that a slow moment of the machine hits all of them. A ratio is the median over the
rounds of one competitor's time by another's in the same round.
"""

import argparse
import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("torch", "transformers", "peft", "numpy", "sqlalchemy")

Runs = Mapping[str, Sequence[float]]
"""Seconds of each run, by competitor; place `i` of each is round `i`."""


@dataclass(frozen=True)
class Spread:
    """The median of some measurements, and the quartiles around it."""

    median: float
    low: float
    high: float
    count: int


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles; a single value is all three."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], 1)
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(statistics.median(values), low, high, len(values))


def ratio(runs: Runs, above: str, below: str) -> Spread:
    """How many times as long `above` took as `below`, round by round."""
    return spread([first / second for first, second in zip(runs[above], runs[below], strict=True)])


def interleave(
    competitors: Mapping[str, Callable[[], object]], repeats: int, *, warm_up: int = 2, name: str = ""
) -> dict[str, list[float]]:
    """Seconds of each run: `repeats` rounds after `warm_up` rounds that do not count.

    Garbage collection waits until a round has ended; a GPU is waited for before a clock is read.
    """
    runs: dict[str, list[float]] = {competitor: [] for competitor in competitors}
    for number in range(warm_up + repeats):
        tell(f"{name}: round {number + 1} of {warm_up + repeats}".removeprefix(": "))
        gc.collect()
        gc.disable()
        try:
            for competitor in _order(list(competitors), number):
                seconds = timed(competitors[competitor])
                if number >= warm_up:
                    runs[competitor].append(seconds)
        finally:
            gc.enable()
    return runs


def _order(names: list[str], number: int) -> list[str]:
    """Turned by a place every second round, and back to front in between: nobody has the same neighbours."""
    shift = number // 2 % len(names)
    turned = names[shift:] + names[:shift]
    return turned[::-1] if number % 2 else turned


def timed(run: Callable[[], object]) -> float:
    """Seconds of one run."""
    wait_for_device()
    start = time.perf_counter()
    run()
    wait_for_device()
    return time.perf_counter() - start


def wait_for_device() -> None:
    """Until a GPU has done what it was asked for."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def resident_bytes() -> int:
    """Memory of this process that is in use now."""
    gc.collect()
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    facts: dict[str, Any] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    if torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
    return facts


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


@dataclass
class Report:
    """What one benchmark found.

    Attributes:
        table: one row a measurement: column -> value; `Spread` values show as median and quartiles.
        ratios: the figures that targets are set for.
        floor: what the work costs at least, counted.
        notes: sentences on how it was measured.
    """

    name: str
    table: list[dict[str, Any]] = field(default_factory=list)
    ratios: dict[str, float | None] = field(default_factory=dict)
    floor: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=machine)

    def show(self, *, as_json: bool) -> None:
        """Print it: Markdown, or one JSON object."""
        self.machine["load_average_at_the_end"] = [round(load, 2) for load in os.getloadavg()]
        if as_json:
            print(json.dumps(asdict(self), indent=2))
            return
        print(f"# {self.name}\n")
        print(markdown(self.table))
        print(markdown([{"ratio": name, "value": value} for name, value in self.ratios.items()]))
        if self.floor:
            print(markdown([{"floor": name, "value": value} for name, value in self.floor.items()]))
        print(markdown([{"machine": name, "value": str(value)} for name, value in self.machine.items()]))
        print("\n".join(self.notes))


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table; the columns are those of all rows, in order of appearance."""
    if not rows:
        return ""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [columns, *([_cell(row.get(name)) for name in columns] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells
    ]
    rule = " | ".join("-" * width for width in widths)
    return "\n".join(f"| {line} |" for line in [lines[0], rule, *lines[1:]]) + "\n"


def _cell(value: object) -> str:
    if isinstance(value, Spread):
        return f"{_number(value.median)} ({_number(value.low)} to {_number(value.high)})"
    return _number(value) if isinstance(value, int | float) else "-" if value is None else str(value)


def _number(value: float) -> str:
    if isinstance(value, int) or abs(value) >= 10_000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark takes."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--work", type=Path, default=Path(".bench"), help="folder for homes and other leftovers"
    )
    made.add_argument("--repeats", type=int, default=10, help="rounds that count [default: 10]")
    made.add_argument("--threads", type=int, help="threads of torch [default: one a core]")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    made.add_argument("--plot", type=Path, help="SVG file for the plot")
    return made


def add_data(parser: argparse.ArgumentParser) -> None:
    """The option `--data`; not needed where rows lie in REGISTRY_DATA or beside the repository."""
    home = Path(os.environ.get("REGISTRY_DATA", Path(__file__).parents[2] / "shared" / "data"))
    tasks = home / "tasks" if (home / "tasks").is_dir() else None
    parser.add_argument(
        "--data",
        type=Path,
        default=tasks,
        required=tasks is None,
        help="folder with one folder a task, in it train.csv and test.csv or validation.csv "
        "[default: tasks/ in the folder that REGISTRY_DATA names]",
    )


def add_tasks(
    parser: argparse.ArgumentParser,
    tasks: Sequence[str],
    *,
    rows: int | None = None,
    test_rows: int | None = None,
) -> None:
    """The options of what is measured on real tasks: which, from which seeds, on how many rows of each."""
    add_data(parser)
    parser.add_argument("--base-model", default="smollm2-135m", help="[default: smollm2-135m]")
    parser.add_argument("--tasks", nargs="+", default=tasks, help=f"[default: {' '.join(tasks)}]")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="[default: 0 1 2]")
    parser.add_argument("--rows", type=int, default=rows, help=f"of train, drawn [default: {rows or 'all'}]")
    parser.add_argument(
        "--test-rows",
        type=int,
        default=test_rows,
        help=f"of test, the same for every seed [default: {test_rows or 'all'}]",
    )


def set_threads(count: int | None) -> None:
    """As many threads as asked for, or one for each core that this process may use."""
    torch.set_num_threads(count or len(os.sched_getaffinity(0)))


def tell(line: str) -> None:
    """One line of progress, on stderr."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def drawing(path: Path | None, *, title: str, across: str, up: str) -> Any:
    """Axes to draw on, saved as SVG when the block ends; without a path what is drawn is thrown away."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel=across, ylabel=up)
    axes.grid(alpha=0.3)
    yield axes
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None})
