"""The queue: every state and every way out of it, who may write, and who may run beside whom."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry import Registry
from registry.canonical import sha256_of
from registry.errors import ConflictError, FencedError, InvalidSettingError, NotFoundError
from registry.owners import Claim, Owner
from registry.queue import ATTEMPTS, STATES
from registry.records import Job
from tests.registry.queueing import HOUR, NUMBERS, PAST, claimed, job_in, row


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """One registry for the tests of a table, each of which makes jobs of its own."""
    with Registry(tmp_path_factory.mktemp("shared")) as opened:
        yield opened


@pytest.fixture(scope="module")
def worker(shared: Registry) -> Iterator[Owner]:
    made = shared.jobs.owner()
    yield made
    made.close()


@pytest.fixture(scope="module")
def rival(shared: Registry) -> Iterator[Owner]:
    made = shared.jobs.owner()
    yield made
    made.close()


VERBS: dict[str, Callable[[Registry, Owner, Claim], object]] = {
    "claim": lambda registry, owner, claim: registry.jobs.claim(owner, HOUR, claim.job),
    "cancel": lambda registry, owner, claim: registry.jobs.cancel(claim.job),
    "retry": lambda registry, owner, claim: registry.jobs.retry(claim.job),
    "recover": lambda registry, owner, claim: registry.jobs.recover(),
    "check": lambda registry, owner, claim: registry.jobs.check(claim),
    "renew": lambda registry, owner, claim: registry.jobs.renew(claim, 2 * HOUR),
    "report": lambda registry, owner, claim: registry.jobs.report(claim, {"stage": "training"}),
    "finish": lambda registry, owner, claim: registry.jobs.finish(claim, {"expert": "sst2@1"}),
    "fail": lambda registry, owner, claim: registry.jobs.fail(claim, "StorageError", "full"),
    "interrupt": lambda registry, owner, claim: registry.jobs.interrupt(claim, "killed"),
    "release": lambda registry, owner, claim: registry.jobs.release(claim),
}
MOVES = {
    ("queued", "claim"): "running",
    ("queued", "cancel"): "cancelled",
    ("needs_recovery", "claim"): "running",
    ("needs_recovery", "cancel"): "cancelled",
    ("running", "cancel"): "running",  # Asked to stop.
    ("running", "renew"): "running",
    ("running", "report"): "running",
    ("running", "finish"): "done",
    ("running", "fail"): "failed",
    ("running", "interrupt"): "needs_recovery",
    ("running", "release"): "queued",
    ("failed", "retry"): "queued",
    ("cancelled", "retry"): "queued",
}
CHANGE_NOTHING = {
    *((state, "claim") for state in ("running", "done", "failed", "cancelled")),
    *((state, "recover") for state in STATES),
    ("running", "check"),
    ("cancelled", "cancel"),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", STATES)
def test_a_job_moves_as_the_table_says_and_else_is_refused_and_stays(
    shared: Registry, worker: Owner, state: str, verb: str
) -> None:
    claim = job_in(shared, worker, state)
    before = row(shared, claim.job)
    if (state, verb) in MOVES:
        VERBS[verb](shared, worker, claim)
        job = shared.jobs.get(claim.job)
        assert job.state == MOVES[state, verb]
        assert job.ended == (job.state in ("done", "failed", "cancelled"))
        assert (job.owner is not None) == (job.state == "running")
        assert row(shared, claim.job) != before
        return
    if (state, verb) in CHANGE_NOTHING:
        assert VERBS[verb](shared, worker, claim) in (None, shared.jobs.get(claim.job))
    else:
        refusal = ConflictError if verb in ("cancel", "retry") else FencedError
        with pytest.raises(refusal, match=f"Job {claim.job} is "):
            VERBS[verb](shared, worker, claim)
    assert row(shared, claim.job) == before


@pytest.mark.parametrize("verb", ["check", "renew", "report", "finish", "fail", "interrupt", "release"])
@pytest.mark.parametrize("stale", ["of an earlier attempt", "of another worker"])
def test_a_stale_claim_writes_nothing_while_another_worker_is_at_the_job(
    shared: Registry, worker: Owner, rival: Owner, verb: str, stale: str
) -> None:
    job = shared.jobs.enqueue("test", {"number": next(NUMBERS)}).id
    first = claimed(shared, worker, PAST, job)
    second = claimed(shared, rival, HOUR, job)
    assert (first.attempt, second.attempt) == (1, 2)
    before = row(shared, job)
    zombie = Claim(job, 1, rival.name) if stale == "of an earlier attempt" else Claim(job, 2, worker.name)
    with pytest.raises(FencedError) as refused:
        VERBS[verb](shared, worker, zombie)
    assert str(refused.value) == (
        f"Job {job} is no longer this worker's (attempt {zombie.attempt}): another has taken it over, or it "
        f"has ended. Nothing was written. See `registry jobs show {job}`."
    )
    assert row(shared, job) == before
    shared.jobs.finish(second, {})


def test_a_new_job_is_what_was_asked_for(registry: Registry) -> None:
    job = registry.jobs.enqueue(
        "add_task", {"epochs": 3}, inputs=[b"rows"], task="sst2", exclusive_key="add_task sst2"
    )
    assert job == registry.jobs.get(1)
    assert job == Job(
        id=1,
        kind="add_task",
        params={"epochs": 3},
        inputs=(sha256_of(b"rows"),),
        task="sst2",
        exclusive_key="add_task sst2",
        state="queued",
        attempt=0,
        max_attempts=ATTEMPTS,
        owner=None,
        cancel_requested=False,
        progress=None,
        result=None,
        error=None,
        created_at=job.created_at,
        started_at=None,
        finished_at=None,
    )
    assert registry.jobs.input(job) == b"rows"


def test_jobs_are_claimed_in_the_order_in_which_they_came(registry: Registry, owner: Owner) -> None:
    asked = [registry.jobs.enqueue("test", {"number": number}).id for number in range(3)]
    assert registry.jobs.claim(owner, HOUR, asked[1]) == Claim(asked[1], 1, owner.name)
    assert [claimed(registry, owner).job for _ in range(2)] == [asked[0], asked[2]]
    assert registry.jobs.claim(owner, HOUR) is None
    assert [job.id for job in registry.jobs.list()] == asked[::-1]


def test_no_job_is_claimed_twice_in_a_crowd(registry: Registry, owner: Owner) -> None:
    asked = {registry.jobs.enqueue("test", {"number": number}).id for number in range(24)}
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: claimed(registry, owner).job, asked))
    assert sorted(taken) == sorted(asked)


def test_of_the_jobs_with_one_key_one_runs_at_a_time(registry: Registry, owner: Owner) -> None:
    first, second = (
        registry.jobs.enqueue("test", {"number": number}, exclusive_key="router").id for number in range(2)
    )
    free = registry.jobs.enqueue("test", {}).id
    running = claimed(registry, owner)
    assert running.job == first
    assert registry.jobs.claim(owner, HOUR, second) is None
    assert claimed(registry, owner).job == free
    with sqlite3.connect(registry.home / "registry.db") as connection:
        with pytest.raises(sqlite3.IntegrityError, match=r"UNIQUE constraint failed: jobs\.exclusive_key"):
            connection.execute(
                "UPDATE jobs SET state = 'running', owner = 'x', lease_until = 0, attempt = 1 WHERE id = ?",
                (second,),
            )
    connection.close()
    registry.jobs.finish(running, {})
    assert claimed(registry, owner).job == second


def test_a_job_that_waits_is_shared_by_all_who_ask_for_the_same(registry: Registry, owner: Owner) -> None:
    first = registry.jobs.enqueue("test", {"rows": 1, "seed": 2})
    assert registry.jobs.enqueue("test", {"seed": 2, "rows": 1}) == first
    assert registry.jobs.enqueue("test", {"rows": 1, "seed": 3}).id == 2
    assert registry.jobs.enqueue("other", {"rows": 1, "seed": 2}).id == 3
    claim = claimed(registry, owner)
    assert registry.jobs.enqueue("test", {"rows": 1, "seed": 2}).id == 4, (
        "one that runs may have read old rows"
    )
    registry.jobs.cancel(4)
    assert registry.jobs.enqueue("test", {"rows": 1, "seed": 2}).id == 5
    registry.jobs.finish(claim, {})


@pytest.mark.parametrize("ended", ["failed", "cancelled"])
def test_a_job_is_tried_again_with_all_its_attempts_and_nothing_of_its_end(
    registry: Registry, owner: Owner, ended: str
) -> None:
    claim = job_in(registry, owner, ended)
    job = registry.jobs.retry(claim.job)
    assert (job.state, job.attempt, job.max_attempts) == ("queued", 1, 1 + ATTEMPTS)
    assert (job.error, job.finished_at, job.cancel_requested) == (None, None, False)
    assert claimed(registry, owner).attempt == 2
    with pytest.raises(FencedError):
        registry.jobs.finish(claim, {})


def test_progress_belongs_to_an_attempt_and_times_to_the_job(registry: Registry, owner: Owner) -> None:
    registry.jobs.enqueue("test", {})
    first = claimed(registry, owner)
    registry.jobs.report(first, {"stage": "training", "done": 3})
    assert registry.jobs.get(1).progress == {"stage": "training", "done": 3}
    registry.jobs.interrupt(first, "killed")
    assert registry.jobs.get(1).error == {"kind": "Interrupted", "message": "killed"}
    second = claimed(registry, owner)
    job = registry.jobs.get(1)
    assert (job.progress, job.error) == (None, None)
    registry.jobs.finish(second, {})
    job = registry.jobs.get(1)
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.created_at <= job.started_at <= job.finished_at


def test_names_that_nothing_carries_are_told_with_what_there_is(registry: Registry) -> None:
    with pytest.raises(NotFoundError, match=r"There is no job '7'\. `registry jobs list` lists them\."):
        registry.jobs.get(7)
    with pytest.raises(InvalidSettingError) as refused:
        registry.jobs.list("queued", "asleep")
    assert str(refused.value) == (
        "There is no job state 'asleep'. States: queued, running, done, failed, cancelled, needs_recovery."
    )


def test_jobs_are_listed_by_state(registry: Registry, owner: Owner) -> None:
    for number in range(4):
        registry.jobs.enqueue("test", {"number": number})
    registry.jobs.finish(claimed(registry, owner), {})
    claimed(registry, owner)
    assert [job.id for job in registry.jobs.list("queued")] == [4, 3]
    assert [job.id for job in registry.jobs.list("done", "running")] == [2, 1]


def test_a_job_whose_worker_died_is_cancelled_at_once(registry: Registry) -> None:
    job, dead = registry.jobs.enqueue("test", {}), registry.jobs.owner()
    claimed(registry, dead)
    dead.close()
    assert registry.jobs.cancel(job.id).state == "cancelled"


def test_a_job_whose_worker_died_in_its_last_attempt_can_be_tried_again_at_once(registry: Registry) -> None:
    job = registry.jobs.enqueue("test", {})
    for _ in range(ATTEMPTS):
        dead = registry.jobs.owner()
        claimed(registry, dead)
        dead.close()
    assert registry.jobs.retry(job.id).state == "queued"


def test_jobs_are_counted_by_state(registry: Registry, owner: Owner) -> None:
    for state in ("queued", "cancelled", "cancelled"):
        job_in(registry, owner, state)
    assert registry.jobs.counts() == dict.fromkeys(STATES, 0) | {"queued": 1, "cancelled": 2}
