"""One attempt at a job: does the work and puts on record what came of it.

`python -m trainer.attempt HOME PULSE JOB ATTEMPT OWNER` is what the `local` executor starts.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from registry import Registry, RegistryError
from registry.errors import FencedError, StorageError
from registry.faults import fault
from registry.owners import Claim
from trainer import kinds
from trainer.progress import Curve, Stopped

REPORT_SECONDS = 0.5
"""Time between two reports of progress: each is a small write to the database."""

CURVE = 200
"""Points of a curve that are on record, at most twice as many: what a picture can show."""


class Reporter:
    """The `on_progress` of a job: puts progress on record, and ends the work when it is to stop.

    What is on record: `stage`, `done` of `total`, `note`, `per_second`, and `seconds_left` of the stage where
    that can be told; and, once there is one, the `curve` of the training.

    Raises:
        Stopped: The worker asked for it.
        FencedError: The job has gone to another worker.
    """

    def __init__(self, registry: Registry, claim: Claim, asked_to_stop: Callable[[], bool]) -> None:
        self._registry = registry
        self._claim = claim
        self._asked_to_stop = asked_to_stop
        self._stage = ""
        self._began = (0.0, 0)
        self._reported = 0.0
        self._curve: list[dict[str, Any]] = []

    def draw(self, curve: Curve) -> None:
        """Keep the curve for the next report; of a long one every few points, and the last."""
        every = max(1, len(curve) // CURVE)
        self._curve = [dict(point) for point in (*curve[:-1][::every], *curve[-1:])]

    def __call__(self, stage: str, done: int, total: int, note: str) -> None:
        """One step."""
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._began, self._reported = stage, (now, done), 0.0
        if now - self._reported >= REPORT_SECONDS or done == total:
            self._reported = now
            # A disk that is full for a moment, or a lock held long, is no reason to lose the work.
            with suppress(StorageError):
                self._registry.jobs.report(self._claim, self._progress(now, done, total, note))
        if self._asked_to_stop():
            raise Stopped

    def _progress(self, now: float, done: int, total: int, note: str) -> dict[str, Any]:
        began, before = self._began
        per_second = (done - before) / (now - began) if now - began > REPORT_SECONDS else 0.0
        return {
            "stage": self._stage,
            "done": done,
            "total": total,
            "note": note,
            "per_second": round(per_second, 2) or None,
            "seconds_left": round((total - done) / per_second, 1) if per_second and total else None,
            **({"curve": self._curve} if self._curve else {}),
        }


def perform(registry: Registry, claim: Claim, asked_to_stop: Callable[[], bool]) -> None:
    """Does the work of a claimed job. Its outcome is on record when this returns; not when the work was
    stopped, or somebody else's by now: then nothing is, and nothing was published."""
    with suppress(Stopped, FencedError):
        try:
            job = registry.jobs.get(claim.job)
            work = kinds.load("jobs", job.kind)
            work.run(
                registry,
                job,
                on_progress=Reporter(registry, claim, asked_to_stop),
                finish=partial(registry.jobs.finish, claim),
                guard=partial(registry.jobs.check, claim),
            )
            fault("finish.committed")
        except FencedError:
            raise
        except StorageError as error:
            # The disk or the database may be well again in a moment: another attempt, of a few.
            registry.jobs.interrupt(claim, str(error))
        except RegistryError as error:
            registry.jobs.fail(claim, type(error).__name__, str(error))
        except Exception as error:
            # Nobody foresaw it: on record for whoever asked, and with its traceback in the log.
            registry.jobs.fail(claim, type(error).__name__, f"{error}. This is a defect of the program.")
            raise


def main(home: str, pulse: str, job: str, attempt: str, owner: str) -> None:
    """Performs one attempt, for as long as the worker that started this process lives."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    for work in (_end_with_the_worker, partial(_beat, int(pulse))):
        threading.Thread(target=work, daemon=True).start()
    moment = time.strftime("%Y-%m-%d %H:%M:%S %z")
    print(f"{moment} attempt {attempt} of job {job}, process {os.getpid()}", flush=True)
    with Registry(Path(home)) as registry:
        perform(registry, Claim(int(job), int(attempt), owner), stop.is_set)


def _end_with_the_worker() -> None:
    """Waits for the end of standard input, which the worker alone holds open."""
    while os.read(0, 4096):
        pass
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # With all that the work has started.
    os._exit(1)


def _beat(pulse: int) -> None:
    while True:
        os.write(pulse, b".")
        time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
