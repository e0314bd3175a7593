"""One attempt: what it reports, what it leaves on record, and when it ends with its worker."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry import Registry
from registry.errors import FencedError
from registry.owners import Claim, Owner
from tests import errands
from tests.errands import process, submit, wait_until
from trainer import attempt, kinds
from trainer.attempt import Reporter, perform
from trainer.progress import Stopped


@pytest.fixture(autouse=True)
def errand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job kind `errand`, in this process and in those it starts."""
    monkeypatch.syspath_prepend(errands.offer(tmp_path / "site"))


@pytest.fixture
def owner(registry: Registry) -> Iterator[Owner]:
    made = registry.jobs.owner()
    yield made
    made.close()


def claimed(registry: Registry, owner: Owner, lease: float = 60) -> Claim:
    claim = registry.jobs.claim(owner, lease)
    assert claim is not None
    return claim


class Clock:
    """Stands in for the module `time`: it goes only when told."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(attempt, "time", made)
    return made


def test_progress_tells_pace_and_time_left_of_its_stage(
    registry: Registry, owner: Owner, clock: Clock
) -> None:
    submit(registry)
    report = Reporter(registry, claimed(registry, owner), lambda: False)
    report("training", 400, 1_000, "resumed")
    assert registry.jobs.get(1).progress == {
        "stage": "training",
        "done": 400,
        "total": 1_000,
        "note": "resumed",
        "per_second": None,
        "seconds_left": None,
    }
    clock.now += 4
    report("training", 500, 1_000, "loss 0.3")
    assert registry.jobs.get(1).progress == {
        "stage": "training",
        "done": 500,
        "total": 1_000,
        "note": "loss 0.3",
        "per_second": 25.0,
        "seconds_left": 20.0,
    }
    report("measuring", 0, 0, "")
    assert registry.jobs.get(1).progress == {
        "stage": "measuring",
        "done": 0,
        "total": 0,
        "note": "",
        "per_second": None,
        "seconds_left": None,
    }


def test_the_curve_of_a_training_is_on_record_with_every_later_step(registry: Registry, owner: Owner) -> None:
    submit(registry)
    report = Reporter(registry, claimed(registry, owner), lambda: False)
    curve = [{"epoch": 1, "loss": 0.7, "validation_accuracy": 0.5}]
    report.draw(curve)
    report("training", 20, 20, "")
    assert (registry.jobs.get(1).progress or {})["curve"] == curve
    report("measuring", 1, 1, "")
    assert (registry.jobs.get(1).progress or {})["curve"] == curve


def test_of_a_long_curve_every_few_points_are_on_record_and_the_last(
    registry: Registry, owner: Owner
) -> None:
    submit(registry)
    report = Reporter(registry, claimed(registry, owner), lambda: False)
    report.draw([{"epoch": epoch} for epoch in range(1, 1_003)])
    report("training", 1, 1, "")
    kept = [point["epoch"] for point in (registry.jobs.get(1).progress or {})["curve"]]
    assert kept == [*range(1, 1_002, 5), 1_002]


def test_progress_is_on_record_twice_a_second_and_at_the_end_of_a_stage(
    registry: Registry, owner: Owner, clock: Clock
) -> None:
    submit(registry)
    report = Reporter(registry, claimed(registry, owner), lambda: False)
    seen = []
    for step in range(21):
        report("training", step, 20, "")
        seen.append((registry.jobs.get(1).progress or {})["done"])
        clock.now += 0.125
    assert seen == [0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12, 16, 16, 16, 16, 20]


def test_the_reporter_ends_work_that_is_to_stop_after_it_has_told_where_it_is(
    registry: Registry, owner: Owner
) -> None:
    submit(registry)
    report = Reporter(registry, claimed(registry, owner), lambda: True)
    with pytest.raises(Stopped):
        report("training", 7, 20, "")
    assert (registry.jobs.get(1).progress or {})["done"] == 7


def test_the_reporter_ends_work_that_is_somebody_elses_by_now(registry: Registry, owner: Owner) -> None:
    submit(registry)
    report = Reporter(registry, claimed(registry, owner, lease=-1), lambda: False)
    registry.jobs.recover()
    with pytest.raises(FencedError):
        report("training", 7, 20, "")
    assert registry.jobs.get(1).progress is None


def test_an_unknown_kind_has_failed_and_does_not_wait_for_ever(registry: Registry, owner: Owner) -> None:
    registry.jobs.enqueue("errands", {})
    perform(registry, claimed(registry, owner), lambda: False)
    job = registry.jobs.get(1)
    assert (job.state, job.attempt) == ("failed", 1)
    assert job.error == {
        "kind": "NotFoundError",
        "message": f"unknown job kind 'errands'; known: {', '.join(kinds.names('jobs'))}. "
        "Did you mean 'errand'?",
    }


def test_a_defect_has_failed_and_goes_on_to_whoever_keeps_the_log(registry: Registry, owner: Owner) -> None:
    submit(registry, wrong="give way")
    with pytest.raises(ZeroDivisionError):
        perform(registry, claimed(registry, owner), lambda: False)
    assert registry.jobs.get(1).error == {
        "kind": "ZeroDivisionError",
        "message": "division by zero. This is a defect of the program.",
    }


@pytest.mark.parametrize("wrong", ["refuse", "give way", None])
def test_an_attempt_whose_job_is_somebody_elses_leaves_no_word(
    registry: Registry, owner: Owner, wrong: str | None
) -> None:
    """It finds that out at its very end: it reports once, while the job is still its own."""
    submit(registry, wrong=wrong)
    claim = claimed(registry, owner, lease=-1)

    def lose_the_job() -> bool:
        registry.jobs.recover()
        return False

    perform(registry, claim, lose_the_job)
    job = registry.jobs.get(1)
    assert (job.state, job.error, job.result) == (
        "needs_recovery",
        {"kind": "Interrupted", "message": "its worker died or stopped answering"},
        None,
    )
    assert registry.experts() == []


def test_the_process_of_an_attempt_shows_life_and_ends_with_its_worker(
    registry: Registry, owner: Owner
) -> None:
    submit(registry, steps=600, seconds=0.1)
    claim = claimed(registry, owner)
    hears, pulse = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-m", "trainer.attempt", registry.home, str(pulse), "1", "1", claim.owner],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[pulse],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    ) as started:
        assert os.read(hears, 1) == b"."
        wait_until(lambda: process(registry.jobs.get(1)) == started.pid)
        assert started.stdin is not None
        started.stdin.close()  # As the system does when a worker dies.
        assert started.wait(10) == 1
    os.close(hears)
    os.close(pulse)
    assert registry.jobs.get(1).state == "running"
