"""A job kind of another distribution, `errand`, that needs no torch: it goes its steps and publishes an
expert, or goes wrong in the way that was asked for. Its progress names a process to kill."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from registry import Job, Registry
from registry.errors import DataRefusedError
from tests.registry.samples import add_expert
from trainer.progress import Progress

ROOT = Path(__file__).parent.parent


def offer(site: Path) -> Path:
    """Writes the distribution into a folder that is then put on `sys.path`."""
    info = site / "errands-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: errands\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[expert_registry.jobs]\nerrand = tests.errands\n")
    return site


def submit(registry: Registry, **asked: Any) -> Job:
    """`steps` of `seconds` each; `wrong`: one of WRONG; `child`: start a process that would outlive us.

    Later attempts take no time and start nothing.
    """
    return registry.jobs.enqueue("errand", asked)


def run(
    registry: Registry,
    job: Job,
    *,
    on_progress: Progress,
    finish: Callable[[dict[str, Any]], object],
    guard: Callable[[], object],
) -> None:
    steps, first = job.params.get("steps", 1), job.attempt == 1
    who = subprocess.Popen(["sleep", "60"]).pid if first and job.params.get("child") else os.getpid()
    for step in range(steps):
        on_progress("errand", step, steps, str(who))
        time.sleep(job.params.get("seconds", 0) if first else 0)
    WRONG.get(job.params.get("wrong"), lambda: None)()
    with registry.transaction():
        made = add_expert(registry, number=job.id)
        finish({"expert": made.name, "attempt": job.attempt})


def refuse() -> NoReturn:
    raise DataRefusedError("errands.csv, line 2: no label")


def give_way() -> NoReturn:
    raise ZeroDivisionError("division by zero")


def vanish() -> NoReturn:
    os._exit(3)


WRONG = {"refuse": refuse, "give way": give_way, "vanish": vanish}


def process(job: Job) -> int | None:
    """The process that a running errand has named."""
    return int(job.progress["note"]) if job.state == "running" and job.progress else None


def alive(process: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return ") Z" not in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)
