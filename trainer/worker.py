"""Runs jobs: claims one, has an executor do its work, renews the lease, and forwards what people ask for.

Nothing here computes: a worker only keeps watch, so it imports no torch and stays alive whatever happens to
the work.
"""

import time
from collections.abc import Callable
from contextlib import suppress

from registry import Registry
from registry.errors import FencedError, StorageError
from registry.owners import LEASE, Claim
from registry.queue import WAITING
from registry.records import Job
from trainer import kinds
from trainer.executors import Running

LOOK = 0.25
"""Seconds between two looks at the job and its attempt."""

KILL_AFTER = 30.0
"""Seconds that an attempt has to stop in good order."""

FROZEN = "its process showed no sign of life for too long and was ended"


class Worker:
    """Runs the jobs of a registry, one at a time.

    Args:
        executor: an executor kind.
        lease: seconds after which its claim is lost when it is not renewed.
        on_look: called with the job every LOOK seconds while its attempt runs, and once when that has ended.
        on_trouble: called with a sentence when the database cannot be used for a moment; `run` goes on.

    Raises:
        NotFoundError: no executor of that kind.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        executor: str = "local",
        lease: float = LEASE,
        on_look: Callable[[Job], object] = lambda job: None,
        on_trouble: Callable[[str], object] = lambda sentence: None,
    ) -> None:
        self._registry = registry
        self._executor = kinds.load("executors", executor)
        self._lease = lease
        self._on_look = on_look
        self._on_trouble = on_trouble
        self._owner = registry.jobs.owner()
        self._leaving = False
        self._killing = False

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._owner.close()

    def run(self, *, drain: bool = False) -> None:
        """Runs jobs until `leave` is called, or, with `drain`, until none waits."""
        while not self._leaving:
            try:
                if self.run_one() is not None:
                    continue
                # Jobs may wait for another of their kind, which another worker runs.
                if drain and not self._registry.jobs.list(*WAITING):
                    return
                time.sleep(LOOK * 2)
            except StorageError as error:
                self._on_trouble(str(error))
                time.sleep(self._lease / 6)

    def run_one(self, job: int | None = None) -> Job | None:
        """Runs the oldest job that waits, or `job` if it does; what became of it, or None if none waits."""
        claim = self._registry.jobs.claim(self._owner, self._lease, job)
        if claim is None:
            return None
        try:
            running = self._executor.start(self._registry.home, claim)
        except StorageError:
            self._registry.jobs.release(claim)  # Not the job's fault, so no attempt of its few.
            raise
        self._supervise(claim, running)
        ended = self._registry.jobs.get(claim.job)
        self._on_look(ended)
        return ended

    def leave(self) -> None:
        """Lets the attempt that runs stop in good order; its job waits for another worker."""
        self._leaving = True

    def kill(self) -> None:
        """Ends the attempt that runs at once."""
        self._killing = True

    def _supervise(self, claim: Claim, running: Running) -> None:
        renewed, asked = time.monotonic(), None
        try:
            while not running.wait(LOOK):
                now = time.monotonic()
                if now - renewed > self._lease:
                    running.kill()
                # A database that stays locked is tried again at the next look: the lease outlasts many.
                with suppress(StorageError):
                    job = self._look(claim)
                    if running.awake() and now - renewed >= self._lease / 6:
                        self._registry.jobs.renew(claim, self._lease)
                        renewed = now
                        # Those of others: perhaps nobody is free to claim them and find out.
                        self._registry.jobs.recover()
                    if asked is None and (self._leaving or job.cancel_requested):
                        running.stop()
                        asked = now
                if self._killing or (asked is not None and now - asked > KILL_AFTER):
                    running.kill()
            frozen = time.monotonic() - renewed > self._lease
            self._settle(claim, FROZEN if frozen else running.how_it_ended())
        except FencedError:
            running.kill()
            running.wait(KILL_AFTER)
        except BaseException:
            running.kill()
            running.wait(KILL_AFTER)
            raise

    def _look(self, claim: Claim) -> Job:
        """The job as it is; FencedError if it is somebody else's, or nobody's, by now."""
        job = self._registry.jobs.get(claim.job)
        if job.ended and job.attempt == claim.attempt:
            return job  # By its own attempt, whose process is about to end.
        if job.attempt != claim.attempt or job.owner != claim.owner:
            raise FencedError(f"Job {claim.job} has moved on.")
        self._on_look(job)
        return job

    def _settle(self, claim: Claim, reason: str) -> None:
        """Puts on record what became of an attempt that has ended, unless it has done so itself."""
        with suppress(FencedError):
            if self._leaving:
                self._registry.jobs.release(claim)
            else:
                self._registry.jobs.interrupt(claim, reason)
