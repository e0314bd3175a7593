"""What the tests of the queue share: claims, leases, and all that the database holds of a job."""

import itertools
import sqlite3
from collections.abc import Callable

from registry import Registry
from registry.owners import Claim, Owner

HOUR = 3_600.0
PAST = -1.0
"""A lease that has run out when it begins."""

NUMBERS = itertools.count()


def claimed(registry: Registry, owner: Owner, lease: float = HOUR, job: int | None = None) -> Claim:
    claim = registry.jobs.claim(owner, lease, job)
    assert claim is not None
    return claim


def row(registry: Registry, job: int) -> tuple[object, ...]:
    """All that the database holds of a job."""
    with sqlite3.connect(registry.home / "registry.db") as connection:
        found: tuple[object, ...] = connection.execute("SELECT * FROM jobs WHERE id = ?", (job,)).fetchone()
    connection.close()
    return found


def job_in(registry: Registry, owner: Owner, state: str) -> Claim:
    """A job in some state, as the claim that its last worker had; of one never claimed, as it will be."""
    job = registry.jobs.enqueue("test", {"number": next(NUMBERS)})
    if state == "queued":
        return Claim(job.id, 1, owner.name)
    claim = claimed(registry, owner, job=job.id)
    if state == "cancelled":
        registry.jobs.cancel(job.id)
    ways: dict[str, Callable[[], object]] = {
        "running": lambda: None,
        "done": lambda: registry.jobs.finish(claim, {"expert": "sst2@1"}),
        "failed": lambda: registry.jobs.fail(claim, "DataRefusedError", "line 2: no label"),
        "cancelled": lambda: registry.jobs.interrupt(claim, "stopped"),
        "needs_recovery": lambda: registry.jobs.interrupt(claim, "its process ended"),
    }
    ways[state]()
    assert registry.jobs.get(job.id).state == state
    return claim
