"""What every executor kind keeps, whichever file it comes from."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from registry import Registry
from registry.owners import Claim, Owner
from tests import errands
from tests.errands import process, submit, wait_until
from trainer import kinds


@pytest.fixture(autouse=True)
def errand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job kind `errand`, in this process and in those it starts."""
    monkeypatch.syspath_prepend(errands.offer(tmp_path / "site"))


@pytest.fixture(params=kinds.names("executors"))
def executor(request: pytest.FixtureRequest) -> ModuleType:
    return kinds.load("executors", request.param)


@pytest.fixture
def owner(registry: Registry) -> Iterator[Owner]:
    made = registry.jobs.owner()
    yield made
    made.close()


def claimed(registry: Registry, owner: Owner) -> Claim:
    claim = registry.jobs.claim(owner, 60)
    assert claim is not None
    return claim


def test_it_begins_the_work_returns_at_once_and_waits_for_the_end(
    executor: ModuleType, registry: Registry, owner: Owner
) -> None:
    submit(registry, seconds=1.5)
    began = time.monotonic()
    running = executor.start(registry.home, claimed(registry, owner))
    assert time.monotonic() - began < 1
    assert running.awake()
    assert running.wait(0) is False
    assert running.wait(30) is True
    assert running.wait(0) is True
    job = registry.jobs.get(1)
    assert (job.state, job.result) == ("done", {"attempt": 1, "expert": "sst2@1"})
    assert running.how_it_ended().startswith("its ")


def test_asked_to_stop_it_ends_at_the_next_step_and_leaves_the_job_to_its_worker(
    executor: ModuleType, registry: Registry, owner: Owner
) -> None:
    submit(registry, steps=600, seconds=0.1)
    running = executor.start(registry.home, claimed(registry, owner))
    wait_until(lambda: process(registry.jobs.get(1)))
    running.stop()
    assert running.wait(10)
    assert registry.jobs.get(1).state == "running"
    assert registry.experts() == []


def test_killed_it_ends_and_what_it_did_not_finish_is_not_there(
    executor: ModuleType, registry: Registry, owner: Owner
) -> None:
    submit(registry, steps=600, seconds=0.1)
    running = executor.start(registry.home, claimed(registry, owner))
    wait_until(lambda: process(registry.jobs.get(1)))
    running.kill()
    assert running.wait(10)
    running.kill()
    assert registry.jobs.get(1).state == "running"
    assert registry.experts() == []


def test_work_that_is_refused_is_on_record_before_it_has_ended(
    executor: ModuleType, registry: Registry, owner: Owner
) -> None:
    submit(registry, wrong="refuse")
    running = executor.start(registry.home, claimed(registry, owner))
    assert running.wait(30)
    job = registry.jobs.get(1)
    assert (job.state, job.error) == (
        "failed",
        {"kind": "DataRefusedError", "message": "errands.csv, line 2: no label"},
    )
