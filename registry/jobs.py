"""`Registry.jobs`: the work that was asked for, what became of it, and what its workers may write."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from registry import owners, queue
from registry.blobs import Blobs
from registry.database import Database
from registry.errors import ConflictError
from registry.faults import fault
from registry.owners import Claim
from registry.records import Job


class Jobs:
    """The jobs of one home. What a job is and how it moves: `registry.queue`.

    Wherever a `claim` is given, FencedError is raised, and nothing written, when the job has moved on.
    """

    def __init__(self, home: Path, database: Database, blobs: Blobs) -> None:
        self._home = home
        self._database = database
        self._blobs = blobs

    def list(self, *states: str, limit: int | None = None) -> list[Job]:
        """All jobs, or those in some states, or the newest few of them; newest first."""
        return self._database.read(queue.every, states, limit)

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        return self._database.read(queue.counts)

    def get(self, job: int) -> Job:
        """One job.

        Raises:
            NotFoundError: There is none of that number.
        """
        return self._database.read(queue.get, job)

    def enqueue(
        self,
        kind: str,
        params: dict[str, Any],
        *,
        inputs: Sequence[bytes] = (),
        task: str | None = None,
        exclusive_key: str | None = None,
    ) -> Job:
        """Puts work on record, or returns the job that waits with these very parameters.

        Args:
            kind: A job kind: see `trainer.jobs`.
            params: All that the work depends on, as JSON. Files are given by content: by digest in here, and
                as bytes in `inputs`.
            inputs: The content of files; kept until the job is done.
            task: What it is about, for people.
            exclusive_key: Of the jobs with one key, one runs at a time.
        """
        digests = [self._blobs.add(content) for content in inputs]

        def record(connection: Connection) -> Job:
            queue.recover(connection, self._gone)
            for sha256, content in zip(digests, inputs, strict=True):
                self._blobs.ensure(sha256, content)
            return queue.enqueue(
                connection, kind, params, inputs=digests, task=task, exclusive_key=exclusive_key
            )

        return self._database.write(record)

    def input(self, job: Job, place: int = 0) -> bytes:
        """The content of one of a job's files, the first unless told; DamagedError if it is not what was
        given."""
        return self._blobs.get(job.inputs[place])

    def owner(self) -> owners.Owner:
        """This process, as an owner of jobs."""
        return owners.Owner(self._home)

    def claim(self, owner: owners.Owner, lease: float, job: int | None = None) -> Claim | None:
        """The right to work on the oldest waiting job, or on `job`, for `lease` seconds; None: none waits."""
        if not self._database.read(queue.claimable, self._gone, job):
            return None
        claim = self._database.write(queue.claim, owner.name, lease, self._gone, job)
        fault("claim.committed")
        return claim

    def recover(self) -> None:
        """Lets go of the jobs whose worker has died or not renewed its lease."""
        if self._database.read(queue.lost, self._gone):
            self._database.write(queue.recover, self._gone)

    def renew(self, claim: Claim, lease: float) -> None:
        """Keeps a claim for `lease` seconds from now."""
        self._database.write(queue.renew, claim, lease)

    def report(self, claim: Claim, progress: dict[str, Any]) -> None:
        """Says how far the work is."""
        self._database.write(queue.report, claim, progress)

    def check(self, claim: Claim) -> None:
        """Raises FencedError unless the claim still holds."""
        self._database.read(queue.check, claim)

    def finish(self, claim: Claim, result: dict[str, Any]) -> None:
        """The job is done. Call it inside the `Registry.transaction` that publishes the result."""
        self._database.write(queue.finish, claim, result)

    def fail(self, claim: Claim, kind: str, message: str) -> None:
        """The job cannot be done; `kind` names the error."""
        self._database.write(queue.fail, claim, kind, message)

    def interrupt(self, claim: Claim, reason: str) -> None:
        """The attempt came to nothing: another follows, unless it was the last or the job was to stop."""
        self._database.write(queue.interrupt, claim, reason)

    def release(self, claim: Claim) -> None:
        """The worker goes away in good order; the job waits for another."""
        self._database.write(queue.release, claim)

    def cancel(self, job: int) -> Job:
        """Asks a job to stop; one that waits, or whose worker has died, is cancelled at once.

        Raises:
            ConflictError: It has ended already.
        """
        return self._database.write(queue.cancel, job, self._gone)

    def retry(self, job: int) -> Job:
        """Queues a job again that failed or was cancelled.

        Raises:
            ConflictError: It is in another state, or its inputs are not kept any more.
        """
        self.check_inputs(self.get(job))
        return self._database.write(queue.retry, job, self._gone)

    def check_inputs(self, job: Job) -> None:
        """Raises ConflictError unless all that the work reads is kept yet."""
        if not all(self._blobs.has(sha256) for sha256 in job.inputs):
            raise ConflictError(f"The rows of job {job.id} are not kept any more. Ask for it anew.")

    def _gone(self, owner: str) -> bool:
        return owners.gone(self._home, owner)
