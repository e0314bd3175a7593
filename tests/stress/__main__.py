"""Runs the parts one after another: `python -m tests.stress --work .stress`, or `make stress`.

A part that has its result is skipped, so an interrupted run goes on when it is started again. A result that
misses its target stays until somebody deletes its file: nothing is run until it happens to succeed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.stress import report
from tests.stress.machine import ROOT
from tests.stress.part import load, names
from tests.stress.sizes import clock

# One thread each: the parts fork.
ALONE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def stored(work: Path, name: str, scale: float) -> dict[str, Any] | None:
    """The result that a part has at that scale, if it has one."""
    path = work / f"{name}.json"
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found if found["scale"] == scale else None


def run(work: Path, name: str, scale: float) -> dict[str, Any] | None:
    """Runs a part in a process of its own; its result, or `None` when it ended without one."""
    folder = work / name
    result = work / f"{name}.json"
    result.unlink(missing_ok=True)
    if folder.exists() and not getattr(load(name), "RESUMES", False):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [name, str(folder), str(scale), str(result)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.stress.part", *arguments],
        cwd=ROOT,
        env={**os.environ, **ALONE},
        check=False,
    )
    found = stored(work, name, scale) if done.returncode == 0 else None
    if found is not None and found["reached"]:
        shutil.rmtree(folder)
    return found


def run_all(work: Path, parts: list[str], scale: float) -> list[str]:
    """Runs what has no result yet; the parts that failed or missed their target."""
    results = {name: stored(work, name, scale) for name in parts}
    minutes = {name: load(name).MINUTES * scale for name in parts if results[name] is None}
    missed = []
    for place, name in enumerate(parts, 1):
        found, part, took = results[name], load(name), "done before"
        if found is None:
            lacking = getattr(part, "missing", lambda: None)()
            if lacking:
                minutes.pop(name)
                print(f"[{place}/{len(parts)}] {name} is left out: {lacking}", flush=True)
                continue
            left = clock(60 * sum(minutes.values()))
            print(f"[{place}/{len(parts)}] {name}: {part.TITLE}. About {left} left in all.", flush=True)
            started = time.monotonic()
            found = run(work, name, scale)
            took = clock(time.monotonic() - started)
            minutes.pop(name)
        print(f"  {name} {_verdict(found, work / name)} ({took})", flush=True)
        if found is None or not found["reached"]:
            missed.append(name)
    return missed


def _verdict(found: dict[str, Any] | None, folder: Path) -> str:
    if found is None:
        return f"ended without a result; what it left is in {folder}"
    return f"{'reached' if found['reached'] else 'MISSED'}: {report.read_out(found['figures'])}"


def main() -> int:
    """Runs the parts that were asked for and writes the report; 1 when one of them missed its target."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(".stress"), help="where results are kept")
    parser.add_argument("--only", nargs="+", choices=names(), default=names(), metavar="PART")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is full size")
    parser.add_argument("--report", action="store_true", help="only write the report from the results")
    given = parser.parse_args()
    work = given.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    missed = [] if given.report else run_all(work, given.only, given.scale)
    if given.report or given.scale == 1:
        report.write(work)
        print(f"The report is in {report.FILE.relative_to(ROOT)}.")
    if missed:
        print(f"Missed: {', '.join(missed)}. To run one again, delete its .json in {given.work}.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
