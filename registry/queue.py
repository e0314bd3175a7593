"""The queue of jobs in the database: who may work on what, and who may still write.

A job is `queued` until a worker claims it. A claim is a lease: while its owner renews it the job is
`running`; when the lease runs out, or its owner is found dead, the job `needs_recovery` and the next worker
takes it as its next attempt. Every write for a job names its attempt and its owner, and is refused when the
job has moved on. So a worker that was asleep can wake up and do no harm, and a result that is published in
the transaction that marks its job done is published once.

Leases are compared with the database's own clock.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, select, update

from registry import schema
from registry.canonical import canonical_json, sha256_of
from registry.columns import NOW
from registry.errors import ConflictError, FencedError, InvalidSettingError, not_found
from registry.faults import fault
from registry.owners import Claim
from registry.records import Job

ATTEMPTS = 3
"""How often a job is begun before it counts as failed: what kills its worker three times will do so again."""

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
NEEDS_RECOVERY = "needs_recovery"
WAITING = (QUEUED, NEEDS_RECOVERY)
STATES = (QUEUED, RUNNING, DONE, FAILED, CANCELLED, NEEDS_RECOVERY)

_jobs = schema.jobs
_FREE = {"owner": None, "lease_until": None}


def every(connection: Connection, states: Sequence[str] = (), limit: int | None = None) -> list[Job]:
    """All jobs, or those in some states, or the newest few; newest first."""
    unknown = [state for state in states if state not in STATES]
    if unknown:
        raise InvalidSettingError(f"There is no job state {unknown[0]!r}. States: {', '.join(STATES)}.")
    wanted = select(_jobs).order_by(_jobs.c.id.desc()).limit(limit)
    if states:
        wanted = wanted.where(_jobs.c.state.in_(states))
    return [_record(row) for row in connection.execute(wanted)]


def counts(connection: Connection) -> dict[str, int]:
    """How many jobs are in each state."""
    counted = select(_jobs.c.state, func.count()).group_by(_jobs.c.state)
    found = {row.state: row[1] for row in connection.execute(counted)}
    return dict.fromkeys(STATES, 0) | found


def get(connection: Connection, job: int) -> Job:
    """One job."""
    row = connection.execute(select(_jobs).where(_jobs.c.id == job)).one_or_none()
    if row is None:
        raise not_found("job", str(job), otherwise="`registry jobs list` lists them.")
    return _record(row)


def enqueue(
    connection: Connection,
    kind: str,
    params: dict[str, Any],
    *,
    inputs: Sequence[str],
    task: str | None,
    exclusive_key: str | None,
) -> Job:
    """A new job, or the one that waits with these very parameters: then nobody needs a second."""
    digest = sha256_of(canonical_json([kind, params]).encode())
    same = and_(_jobs.c.params_sha256 == digest, _jobs.c.state.in_(WAITING), _jobs.c.cancel_requested == 0)
    waiting: int | None = connection.scalar(select(func.min(_jobs.c.id)).where(same))
    if waiting is not None:
        return get(connection, waiting)
    made = insert(_jobs).values(
        kind=kind,
        params=params,
        params_sha256=digest,
        inputs=inputs,
        task=task,
        exclusive_key=exclusive_key,
        state=QUEUED,
        attempt=0,
        max_attempts=ATTEMPTS,
        cancel_requested=0,
        created_at=datetime.now(UTC),
    )
    return get(connection, connection.execute(made.returning(_jobs.c.id)).scalar_one())


def claim(
    connection: Connection, owner: str, lease: float, gone: Callable[[str], bool], job: int | None
) -> Claim | None:
    """The oldest job that may run now (or `job`, if it may), for `lease` seconds; None if there is none."""
    recover(connection, gone)
    fault("claim.begun")
    others = _jobs.alias()
    busy = select(others.c.id).where(
        others.c.exclusive_key == _jobs.c.exclusive_key, others.c.state == RUNNING
    )
    free = select(_jobs.c.id, _jobs.c.attempt).where(_jobs.c.state.in_(WAITING), ~busy.exists())
    if job is not None:
        free = free.where(_jobs.c.id == job)
    found = connection.execute(free.order_by(_jobs.c.id).limit(1)).one_or_none()
    if found is None:
        return None
    claimed = Claim(job=found.id, attempt=found.attempt + 1, owner=owner)
    connection.execute(
        update(_jobs)
        .where(_jobs.c.id == found.id)
        .values(
            state=RUNNING,
            attempt=claimed.attempt,
            owner=owner,
            lease_until=NOW + lease,
            started_at=datetime.now(UTC),
            progress=None,
            error=None,
        )
    )
    fault("claim.updated")
    return claimed


def lost(connection: Connection, gone: Callable[[str], bool]) -> list[Row[Any]]:
    """The jobs that say they run, but whose worker has died or not renewed its lease."""
    now = connection.scalar(select(NOW))
    running = connection.execute(select(_jobs).where(_jobs.c.state == RUNNING)).all()
    return [row for row in running if row.lease_until < now or gone(row.owner)]


def recover(connection: Connection, gone: Callable[[str], bool]) -> None:
    """Lets go of the jobs whose worker has died or not renewed its lease."""
    for row in lost(connection, gone):
        _end_attempt(connection, row, "its worker died or stopped answering")


def claimable(connection: Connection, gone: Callable[[str], bool], job: int | None) -> bool:
    """Whether a claim may find something; asked before, since a claim holds up every writer."""
    waiting = select(_jobs.c.id).where(_jobs.c.state.in_(WAITING))
    if job is not None:
        waiting = waiting.where(_jobs.c.id == job)
    return connection.execute(waiting.limit(1)).first() is not None or bool(lost(connection, gone))


def _end_attempt(connection: Connection, row: Row[Any], reason: str) -> None:
    """What becomes of a job whose attempt came to nothing: cancelled as asked, tried again, or given up."""
    if row.cancel_requested:
        values: dict[str, Any] = {"state": CANCELLED, "finished_at": datetime.now(UTC)}
    elif row.attempt < row.max_attempts:
        values = {"state": NEEDS_RECOVERY, "error": _error("Interrupted", reason)}
    else:
        message = f"given up after {row.attempt} attempts: {reason}"
        values = {"state": FAILED, "finished_at": datetime.now(UTC), "error": _error("Interrupted", message)}
    connection.execute(update(_jobs).where(_jobs.c.id == row.id).values(**_FREE, **values))


def renew(connection: Connection, claim: Claim, lease: float) -> None:
    """Keeps a claim for `lease` seconds from now."""
    _write(connection, claim, lease_until=NOW + lease)


def report(connection: Connection, claim: Claim, progress: dict[str, Any]) -> None:
    """Says how far the work is."""
    _write(connection, claim, progress=progress)


def check(connection: Connection, claim: Claim) -> None:
    """Nothing, if the claim still holds."""
    _running(connection, claim)


def finish(connection: Connection, claim: Claim, result: dict[str, Any]) -> None:
    """The job is done. Called in the transaction that publishes its result."""
    fault("finish.begun")
    _write(connection, claim, state=DONE, result=result, error=None, finished_at=datetime.now(UTC), **_FREE)
    fault("finish.updated")


def fail(connection: Connection, claim: Claim, kind: str, message: str) -> None:
    """The job cannot be done, and trying again would not help."""
    _write(
        connection,
        claim,
        state=FAILED,
        error=_error(kind, message),
        finished_at=datetime.now(UTC),
        **_FREE,
    )


def interrupt(connection: Connection, claim: Claim, reason: str) -> None:
    """The attempt came to nothing, through no fault of the job's: as if its worker had been found dead."""
    _end_attempt(connection, _running(connection, claim), reason)


def release(connection: Connection, claim: Claim) -> None:
    """The worker goes away in good order: the job waits for another, and this attempt does not count."""
    row = _running(connection, claim)
    if row.cancel_requested:
        _end_attempt(connection, row, "")
        return
    _write(connection, claim, state=QUEUED, max_attempts=row.max_attempts + 1, **_FREE)


def cancel(connection: Connection, job: int, gone: Callable[[str], bool]) -> Job:
    """Asks a job to stop. One that waits is cancelled at once, one that runs by its worker."""
    recover(connection, gone)
    found = get(connection, job)
    if found.ended and found.state != CANCELLED:
        raise ConflictError(f"Job {job} is {found.state}; only jobs that wait or run can be cancelled.")
    values: dict[str, Any] = {"cancel_requested": 1}
    if found.state in WAITING:
        values |= {"state": CANCELLED, "finished_at": datetime.now(UTC)}
    connection.execute(update(_jobs).where(_jobs.c.id == job).values(**values))
    return get(connection, job)


def retry(connection: Connection, job: int, gone: Callable[[str], bool]) -> Job:
    """Queues a job again that failed or was cancelled. It goes on from its last checkpoint."""
    recover(connection, gone)
    found = get(connection, job)
    if not found.retriable:
        raise ConflictError(f"Job {job} is {found.state}; only failed and cancelled jobs can be tried again.")
    again = {
        "state": QUEUED,
        "max_attempts": found.attempt + ATTEMPTS,
        "cancel_requested": 0,
        "error": None,
        "finished_at": None,
    }
    connection.execute(update(_jobs).where(_jobs.c.id == job).values(**again))
    return get(connection, job)


def _running(connection: Connection, claim: Claim) -> Row[Any]:
    row = connection.execute(select(_jobs).where(_holds(claim))).one_or_none()
    if row is None:
        raise _fenced(claim)
    return row


def _write(connection: Connection, claim: Claim, **values: Any) -> None:
    if connection.execute(update(_jobs).where(_holds(claim)).values(**values)).rowcount != 1:
        raise _fenced(claim)


def _holds(claim: Claim) -> Any:
    return and_(
        _jobs.c.id == claim.job,
        _jobs.c.attempt == claim.attempt,
        _jobs.c.owner == claim.owner,
        _jobs.c.state == RUNNING,
    )


def _fenced(claim: Claim) -> FencedError:
    return FencedError(
        f"Job {claim.job} is no longer this worker's (attempt {claim.attempt}): another has taken it over, "
        f"or it has ended. Nothing was written. See `registry jobs show {claim.job}`."
    )


def _error(kind: str, message: str) -> dict[str, str]:
    return {"kind": kind, "message": message}


def _record(row: Row[Any]) -> Job:
    facts = {**row._mapping, "cancel_requested": bool(row.cancel_requested)}
    for hidden in ("params_sha256", "lease_until"):
        del facts[hidden]
    return Job(**facts)
