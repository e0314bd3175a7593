"""How soon a new task answers: `registry add-task --instant` from its start to the first version on record.

    python -m benchmarks.instant [--data FOLDER] [--tasks trec sst2] [--rows 1000] [--base-model NAME]
                                 [--repeats 3] [--threads N] [--work DIR] [--json]

`FOLDER` holds one folder a task, each with `train.csv`; rows of 12 words at most are drawn, the same ones
each time. Every run is a process of its own with a new home, as a person would start it; it is cancelled once
the probe is on record. `--rows 100 --repeats 1 --tasks trec` is a small run.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time

from benchmarks import measure
from benchmarks.samples import sample
from registry import Registry

WORDS = 12
LIMIT = 600.0


def main() -> None:
    """Measure every task, and print the report."""
    options = arguments()
    report = measure.Report("instant experts")
    for task in options.tasks:
        found = [run(task, number, options) for number in range(options.repeats)]
        seconds = measure.spread([one[0] for one in found])
        report.table.append({"task": task, "seconds": seconds, "test accuracy of the probe": found[0][1]})
        report.ratios[f"{task}: seconds to the first answer"] = seconds.median
    report.notes.append(
        f"{options.base_model}; {options.rows} rows of {WORDS} words at most, a tenth of them for test. From "
        "the start of the command, base model included, to the version on record; median and quartiles of "
        f"{options.repeats} runs."
    )
    report.show(as_json=options.json)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = measure.parser(__doc__)
    measure.add_data(parser)
    parser.set_defaults(repeats=3)
    parser.add_argument("--base-model", default="smollm2-135m")
    parser.add_argument("--tasks", nargs="+", default=("trec", "sst2"))
    parser.add_argument("--rows", type=int, default=1000)
    return parser.parse_args()


def run(task: str, number: int, options: argparse.Namespace) -> tuple[float, float]:
    """Seconds until a probe is on record, and its accuracy."""
    folder = options.work / "instant" / f"{task}-{number}"
    shutil.rmtree(folder, ignore_errors=True)
    rows = sample(options.data / task / "train.csv", options.rows, folder / f"{task}.csv", most_words=WORDS)
    Registry(folder / "home").close()
    command = [
        sys.executable,
        "-m",
        "ui.cli",
        "--home",
        str(folder / "home"),
        "add-task",
        "--data",
        str(rows),
    ]
    command += ["--instant", "--base-model", options.base_model]
    threads = str(options.threads or len(os.sched_getaffinity(0)))
    with (folder / "log").open("w") as log:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | {"OMP_NUM_THREADS": threads}
        )
        with Registry(folder / "home") as registry:
            while not registry.experts() and time.perf_counter() - start < LIMIT and process.poll() is None:
                time.sleep(0.05)
            seconds = time.perf_counter() - start
            if not registry.experts():
                raise SystemExit(f"{task} never answered: see {folder / 'log'}")
            [score] = [one.value for one in registry.evaluations(task) if one.split == "test"]
        process.send_signal(signal.SIGINT)
        process.wait()
    measure.tell(f"{task}: {seconds:.1f} s, accuracy {score:.3f}")
    return seconds, score


if __name__ == "__main__":
    main()
