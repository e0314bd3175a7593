"""Waits for a job as a person does: sees how far it is, and passes Ctrl-C on."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from registry import errors
from ui import present
from ui.group import INTERRUPTED
from ui.progress import Report, reporting

if TYPE_CHECKING:
    from registry import Job, Registry

LOOK = 0.25
"""Seconds between two looks at a job that another process runs."""


def executor() -> str:
    """Where work is done, an executor kind: `REGISTRY_EXECUTOR`, or a process of its own."""
    return os.environ.get("REGISTRY_EXECUTOR") or "local"


def complete(registry: "Registry", job: "Job") -> "Job":
    """Runs a job here, or waits while another worker runs it, until it is done.

    Ctrl-C asks it to stop at its next step; a second Ctrl-C ends it at once.

    Raises:
        RegistryError: the job's own error, if it failed.
        SystemExit: it was cancelled.
    """
    from trainer.worker import Worker

    asked = Interrupts()
    with reporting(time_left=False) as report, asked.counted():
        view = View(report)

        def look(now: "Job", more: str = "ends it at once") -> None:
            view.show(now)
            if asked.new and not now.ended:
                asked.new = False
                with suppress(errors.ConflictError):  # It has just ended.
                    if not registry.jobs.cancel(now.id).ended:
                        click.echo(f"Stopping at the next step; Ctrl-C once more {more}.", err=True)
            if asked.count > 1:
                worker.kill()

        with Worker(registry, executor=executor(), on_look=look) as worker:
            while not job.ended:
                if worker.run_one(job.id) is None:
                    look(job, "leaves it to its worker")
                    if asked.count > 1:
                        sys.exit(INTERRUPTED)
                    time.sleep(LOOK)
                job = registry.jobs.get(job.id)
                tell_of_recovery(job)
    return outcome(job)


def watch(registry: "Registry", job: "Job") -> "Job":
    """Shows how far a job is that others run, until it has ended; Ctrl-C only stops looking."""
    with reporting(time_left=False) as report:
        view = View(report)
        while not job.ended:
            view.show(job)
            time.sleep(LOOK)
            registry.jobs.recover()
            job = registry.jobs.get(job.id)
    return outcome(job)


def outcome(job: "Job") -> "Job":
    """The job, if it is done; else its error is raised, or the process ends with the code of an interrupt."""
    if job.error is not None and job.state == "failed":
        message, kind = job.error["message"], getattr(errors, job.error["kind"], None)
        if isinstance(kind, type) and issubclass(kind, errors.RegistryError):
            raise kind(message)
        said = f"Job {job.id} failed: {message.rstrip('.')}."
        raise errors.RegistryError(f"{said} See `registry jobs logs {job.id}`.")
    if job.state == "cancelled":
        again = f"Go on with it: registry jobs retry {job.id}, or the same command."
        click.echo(f"Error: Interrupted: job {job.id} was stopped, nothing is half-made. {again}", err=True)
        sys.exit(INTERRUPTED)
    return job


def tell_of_recovery(job: "Job") -> None:
    """Says why an attempt came to nothing, when another follows."""
    if job.state == "needs_recovery" and job.error is not None:
        said = f"Job {job.id}: {job.error['message'].rstrip('.')}"
        click.echo(f"{said}; attempt {job.attempt + 1} of {job.max_attempts} follows.", err=True)


class View:
    """Draws the progress of a job that is read from its record."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._stage: tuple[str, int, str] | None = None

    def show(self, job: "Job") -> None:
        """The job as it is now."""
        if job.progress is None:
            if not job.ended and job.state != "running":
                self._report("waiting for a worker", 0, 0, f"job {job.id}")
            return
        stage, done, total, note = (job.progress[name] for name in ("stage", "done", "total", "note"))
        if self._stage is not None and self._stage[0] != stage:
            before, full, remark = self._stage
            self._report(before, full, full, remark)
        self._stage = (stage, total, note)
        self._report(stage, done, total, note + _pace(job.progress))


def _pace(progress: dict[str, Any]) -> str:
    """How fast it is and how long the stage will take, where that can be told."""
    pace, left = progress["per_second"], progress["seconds_left"]
    fast = f", {pace:,.0f} a second" if pace and pace >= 1 else ""
    return fast + (f", {present.duration(left)} left" if left else "")


class Interrupts:
    """How often Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.count = 0
        self.new = False

    @contextmanager
    def counted(self) -> "Iterator[None]":
        """Counts in place of raising KeyboardInterrupt, while the block runs."""
        with handling(signal.SIGINT, self._note):
            yield

    def _note(self) -> None:
        self.count += 1
        self.new = True


@contextmanager
def handling(number: int, work: "Callable[[], object]") -> "Iterator[None]":
    """Calls `work` on a signal while the block runs."""

    def handler(_number: int, _frame: FrameType | None) -> None:
        work()

    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
