"""The worker: whatever happens to an attempt or to the worker itself, a job is published once or has failed
honestly. First attempts are real processes; those that only have to do the work again are threads."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from registry import Job, NotFoundError, Registry
from registry.errors import StorageError
from tests import errands
from tests.errands import alive, process, submit, wait_until
from trainer import worker as worker_module
from trainer.executors import local
from trainer.worker import Worker


@pytest.fixture(autouse=True)
def errand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job kind `errand`, in this process and in those it starts."""
    monkeypatch.syspath_prepend(errands.offer(tmp_path / "site"))


def run(
    registry: Registry, job: Job, on_look: Callable[[Job], object] = lambda job: None, lease: float = 60
) -> Job:
    """What one attempt makes of a job, in a process of its own."""
    with Worker(registry, lease=lease, on_look=on_look) as worker:
        ended = worker.run_one(job.id)
    assert ended is not None
    return ended


def run_again(registry: Registry) -> Job:
    """What another attempt makes of the job, in this process."""
    with Worker(registry, executor="thread") as worker:
        ended = worker.run_one()
    assert ended is not None
    return ended


def at_first(deed: Callable[[int], object]) -> Callable[[Job], None]:
    """Calls `deed(process)` once, when the first attempt has named its process."""
    done: list[int] = []

    def look(job: Job) -> None:
        named = process(job)
        if named is not None and job.attempt == 1 and not done:
            done.append(named)
            deed(named)

    return look


def experts(registry: Registry) -> list[str]:
    return [expert.name for expert in registry.experts(all_versions=True)]


@contextmanager
def worker_process(registry: Registry, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """`registry worker` in a process of its own."""
    command = [sys.executable, "-m", "ui.cli", "--home", str(registry.home), "worker", *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as started:
        yield started
        started.kill()


def test_an_attempt_does_the_work_and_publishes_it(registry: Registry) -> None:
    seen: list[str] = []
    job = run(registry, submit(registry), lambda job: seen.append(job.state))
    assert (job.state, job.attempt, job.result) == ("done", 1, {"attempt": 1, "expert": "sst2@1"})
    assert experts(registry) == ["sst2@1"]
    assert seen[-1] == "done"
    assert set(seen[:-1]) <= {"running", "done"}
    log = local.log(registry.home, job.id)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d .* attempt 1 of job 1, process \d+\n", log.read_text())
    assert log.stat().st_mode & 0o777 == 0o600
    assert list((registry.home / "workers").iterdir()) == []


def test_no_job_is_none(registry: Registry) -> None:
    with Worker(registry) as worker:
        assert worker.run_one() is None
        assert worker.run_one(3) is None
        worker.run(drain=True)


def test_a_defect_has_failed_and_its_traceback_is_in_the_log(registry: Registry) -> None:
    job = run(registry, submit(registry, wrong="give way"))
    assert (job.state, job.attempt) == ("failed", 1)
    assert job.error == {
        "kind": "ZeroDivisionError",
        "message": "division by zero. This is a defect of the program.",
    }
    log = local.log(registry.home, job.id).read_text()
    assert "Traceback" in log
    assert 'raise ZeroDivisionError("division by zero")' in log


def test_what_ends_every_attempt_has_failed_with_the_last_reason(registry: Registry) -> None:
    job = submit(registry, wrong="vanish")
    with Worker(registry) as worker:
        owner = registry.jobs.owner()
        for _ in range(2):
            claim = registry.jobs.claim(owner, 60)
            assert claim is not None
            registry.jobs.interrupt(claim, "killed")
        owner.close()
        worker.run(drain=True)
    ended = registry.jobs.get(job.id)
    assert (ended.state, ended.attempt) == ("failed", 3)
    assert ended.error == {
        "kind": "Interrupted",
        "message": "given up after 3 attempts: its process ended with exit code 3",
    }


def test_a_killed_attempt_ends_with_all_it_has_started_and_is_followed_by_another(registry: Registry) -> None:
    children: list[int] = []

    def kill_the_parent_of(child: int) -> None:
        children.append(child)
        parent = Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2].split()[1]
        os.kill(int(parent), signal.SIGKILL)

    killed = run(registry, submit(registry, child=True, seconds=5), at_first(kill_the_parent_of))
    assert (killed.state, killed.error) == (
        "needs_recovery",
        {
            "kind": "Interrupted",
            "message": "its process was ended by SIGKILL; the machine may have run out of memory",
        },
    )
    wait_until(lambda: not alive(children[0]))
    done = run_again(registry)
    assert (done.state, done.attempt, experts(registry)) == ("done", 2, ["sst2@1"])


def test_work_that_does_not_stop_when_asked_is_killed_with_all_it_has_started(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "KILL_AFTER", 0.3)
    children: list[int] = []

    def cancel(child: int) -> None:
        children.append(child)
        registry.jobs.cancel(1)

    job = run(registry, submit(registry, child=True, seconds=60), at_first(cancel))
    assert (job.state, job.error, experts(registry)) == ("cancelled", None, [])
    wait_until(lambda: not alive(children[0]))


def test_a_job_that_is_cancelled_stops_at_its_next_step(registry: Registry) -> None:
    job = run(
        registry,
        submit(registry, steps=600, seconds=0.05),
        at_first(lambda _: registry.jobs.cancel(1)),
    )
    assert (job.state, job.error, experts(registry)) == ("cancelled", None, [])
    assert "Traceback" not in local.log(registry.home, 1).read_text()


def test_a_frozen_attempt_loses_its_lease_and_its_job_is_done_by_another(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit(registry, steps=20, seconds=0.05)
    frozen: list[int] = []

    def freeze(attempt: int) -> None:
        frozen.append(attempt)
        os.kill(attempt, signal.SIGSTOP)
        monkeypatch.setattr(local, "SILENCE", 0.5)

    lost = run(registry, job, at_first(freeze), lease=2)
    assert (lost.state, lost.error) == (
        "needs_recovery",
        {"kind": "Interrupted", "message": "its process showed no sign of life for too long and was ended"},
    )
    assert not alive(frozen[0])
    done = run_again(registry)
    assert (done.state, done.attempt, experts(registry)) == ("done", 2, ["sst2@1"])


def test_a_lease_is_renewed_for_as_long_as_the_work_takes(registry: Registry) -> None:
    def recover(job: Job) -> None:
        with Registry(registry.home) as other:
            other.jobs.recover()

    job = run(registry, submit(registry, steps=25, seconds=0.1), recover, lease=2)
    assert (job.state, job.attempt) == ("done", 1)


def test_a_worker_that_leaves_hands_its_job_on(registry: Registry) -> None:
    job = submit(registry, steps=100, seconds=0.05)
    with Worker(registry, on_look=at_first(lambda _: worker.leave())) as worker:
        worker.run()
    left = registry.jobs.get(job.id)
    assert (left.state, left.attempt, left.error) == ("queued", 1, None)
    assert run_again(registry).result == {"attempt": 2, "expert": "sst2@1"}


def test_a_worker_that_waits_leaves_at_once(registry: Registry) -> None:
    with Worker(registry) as worker:
        thread = threading.Thread(target=worker.run)
        thread.start()
        worker.leave()
        thread.join(5)
        assert not thread.is_alive()


def test_when_a_worker_is_killed_its_attempt_ends_and_another_does_the_job(registry: Registry) -> None:
    job = submit(registry, steps=20, seconds=0.1)
    with worker_process(registry) as first:
        wait_until(lambda: process(registry.jobs.get(job.id)))
        attempt = process(registry.jobs.get(job.id))
        assert attempt is not None
        first.kill()
        wait_until(lambda: not alive(attempt))
    assert registry.jobs.get(job.id).state == "running", "nobody has looked yet"
    done = run_again(registry)
    assert (done.state, done.result, experts(registry)) == (
        "done",
        {"attempt": 2, "expert": "sst2@1"},
        ["sst2@1"],
    )


def test_a_zombie_that_wakes_up_publishes_nothing(registry: Registry) -> None:
    """Worker and attempt sleep for longer than their lease, as on a laptop that was closed."""
    job = submit(registry, seconds=0.5)
    with worker_process(registry, "--lease", "2") as first:
        wait_until(lambda: process(registry.jobs.get(job.id)))
        attempt = process(registry.jobs.get(job.id))
        assert attempt is not None
        os.kill(first.pid, signal.SIGSTOP)
        os.kill(attempt, signal.SIGSTOP)
        wait_until(lambda: (registry.jobs.recover(), registry.jobs.get(job.id).state)[1] != "running")
        done = run_again(registry)
        assert done.result == {"attempt": 2, "expert": "sst2@1"}
        os.kill(attempt, signal.SIGCONT)
        wait_until(lambda: not alive(attempt))
        os.kill(first.pid, signal.SIGCONT)
        first.terminate()
        assert first.wait(10) == 0
    assert registry.jobs.get(job.id) == done
    assert experts(registry) == ["sst2@1"]
    assert registry.verify() == []


def test_an_unknown_executor_is_told_with_those_there_are(registry: Registry) -> None:
    with pytest.raises(NotFoundError, match=r"unknown executor kind 'lokal'; known: local, thread\. Did you"):
        Worker(registry, executor="lokal")


def test_a_job_whose_attempt_cannot_begin_is_not_lost(registry: Registry) -> None:
    submit(registry)
    (registry.home / "logs").write_text("in the way")
    with pytest.raises(StorageError, match="Cannot make the folder"), Worker(registry) as worker:
        worker.run_one()
    assert registry.jobs.get(1).state == "queued"
    (registry.home / "logs").unlink()
    assert run_again(registry).result == {"attempt": 2, "expert": "sst2@1"}


def test_a_draining_worker_stays_while_a_job_waits_for_another_of_its_key(registry: Registry) -> None:
    """The other is run elsewhere; when that ends, the one that waits is run, and only then does it leave."""
    first, second = (
        registry.jobs.enqueue("errand", {"steps": number}, exclusive_key="one") for number in (1, 2)
    )
    elsewhere = registry.jobs.owner()
    claim = registry.jobs.claim(elsewhere, 60, first.id)
    assert claim is not None
    threading.Timer(1.0, lambda: registry.jobs.finish(claim, {})).start()
    with Worker(registry) as worker:
        worker.run(drain=True)
    assert [registry.jobs.get(job.id).state for job in (first, second)] == ["done", "done"]
    elsewhere.close()
