"""What becomes of the jobs of workers that die, fall asleep, go away, or are asked to stop."""

import os
import signal
import time
from collections.abc import Callable

import pytest

from registry import Registry
from registry.owners import Owner, gone
from registry.queue import ATTEMPTS
from tests.registry.queueing import HOUR, PAST, claimed
from tests.stress import forks


def test_asking_again_goes_on_with_the_job_whose_worker_died(registry: Registry, owner: Owner) -> None:
    gone = registry.jobs.owner()
    job = registry.jobs.enqueue("test", {})
    claimed(registry, gone)
    gone.close()
    again = registry.jobs.enqueue("test", {})
    assert (again.id, again.state, again.attempt) == (job.id, "needs_recovery", 1)


def test_the_job_of_a_killed_worker_is_free_at_once(registry: Registry, other: Owner) -> None:
    registry.jobs.enqueue("test", {})

    def claim_and_wait() -> None:
        with Registry(registry.home) as mine:
            claimed(mine, mine.jobs.owner())
            time.sleep(60)

    child = forks.start(claim_and_wait)
    _wait_for(lambda: registry.jobs.get(1).state == "running")
    os.kill(child, signal.SIGSTOP)
    assert registry.jobs.claim(other, HOUR) is None, "it is asleep, and its lease holds"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert claimed(registry, other).attempt == 2


def test_the_job_of_a_worker_that_sleeps_is_free_when_its_lease_has_run_out(
    registry: Registry, owner: Owner, other: Owner
) -> None:
    registry.jobs.enqueue("test", {})
    first = claimed(registry, owner, 0.3)
    registry.jobs.renew(first, 0.3)
    assert registry.jobs.claim(other, HOUR) is None
    time.sleep(0.35)
    assert claimed(registry, other).attempt == 2


def test_a_renewed_lease_holds(registry: Registry, owner: Owner, other: Owner) -> None:
    registry.jobs.enqueue("test", {})
    registry.jobs.renew(claimed(registry, owner, PAST), HOUR)
    assert registry.jobs.claim(other, HOUR) is None


def test_what_kills_its_worker_three_times_has_failed(registry: Registry, owner: Owner) -> None:
    registry.jobs.enqueue("test", {})
    for attempt in (1, 2, 3):
        assert claimed(registry, owner, PAST).attempt == attempt
    assert registry.jobs.claim(owner, HOUR) is None
    job = registry.jobs.get(1)
    assert (job.state, job.ended, job.owner) == ("failed", True, None)
    assert job.error == {
        "kind": "Interrupted",
        "message": "given up after 3 attempts: its worker died or stopped answering",
    }


def test_a_worker_that_goes_away_in_good_order_uses_up_no_attempt(registry: Registry, owner: Owner) -> None:
    registry.jobs.enqueue("test", {})
    for attempt in range(1, 6):
        claim = claimed(registry, owner)
        assert claim.attempt == attempt
        registry.jobs.release(claim)
    job = registry.jobs.get(1)
    assert (job.state, job.attempt, job.max_attempts, job.error) == ("queued", 5, 5 + ATTEMPTS, None)


@pytest.mark.parametrize("end", ["interrupt", "release", "die"])
def test_a_job_that_was_asked_to_stop_is_cancelled_however_its_attempt_ends(
    registry: Registry, owner: Owner, end: str
) -> None:
    registry.jobs.enqueue("test", {})
    worker = registry.jobs.owner()
    claim = claimed(registry, worker)
    asked = registry.jobs.cancel(1)
    assert (asked.state, asked.cancel_requested, asked.ended) == ("running", True, False)
    if end == "interrupt":
        registry.jobs.interrupt(claim, "killed")
    elif end == "release":
        registry.jobs.release(claim)
    worker.close()
    registry.jobs.recover()
    job = registry.jobs.get(1)
    assert (job.state, job.owner, job.error) == ("cancelled", None, None)
    assert registry.jobs.claim(owner, HOUR) is None


def test_a_result_that_came_before_the_stop_counts(registry: Registry, owner: Owner) -> None:
    registry.jobs.enqueue("test", {})
    claim = claimed(registry, owner)
    registry.jobs.cancel(1)
    registry.jobs.finish(claim, {"expert": "sst2@1"})
    job = registry.jobs.get(1)
    assert (job.state, job.result) == ("done", {"expert": "sst2@1"})


def test_an_owner_that_cannot_be_asked_counts_as_alive(registry: Registry) -> None:
    owner = registry.jobs.owner()
    assert not gone(registry.home, owner.name)
    (registry.home / "workers" / owner.name).unlink()
    (registry.home / "workers" / owner.name).mkdir()
    assert not gone(registry.home, owner.name)
    (registry.home / "workers" / owner.name).rmdir()
    assert gone(registry.home, owner.name)
    owner.close()


def _wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)
