"""`jobs`, `worker`, `--detach` and Ctrl-C: what they print, their exit codes, and what is left of a job."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from registry import Job, Registry, tensors
from tests import errands
from tests.errands import process, submit, wait_until
from tests.ui.commands import DIGEST, TIME, Outcome, assert_refused, assert_shape, mood_rows, run, write_csv
from trainer.executors.local import log
from ui.waiting import handling

NUMBER = {"job": int}
PROGRESS = {
    "stage": str,
    "done": int,
    "total": int,
    "note": str,
    "per_second": object,
    "seconds_left": object,
}


@pytest.fixture(autouse=True)
def errand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job kind `errand`, in this process and in those it starts."""
    monkeypatch.syspath_prepend(errands.offer(tmp_path / "site"))


@contextmanager
def command(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`registry ARGUMENTS` in a process of its own, with jobs in processes of their own."""
    # Whoever started the tests in the background had them ignore Ctrl-C, and all that they start.
    with handling(signal.SIGINT, lambda: None):
        started = subprocess.Popen(
            [sys.executable, "-m", "ui.cli", "--home", str(home), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
    with started:
        try:
            yield started
        finally:
            started.kill()


def ended(started: subprocess.Popen[str]) -> Outcome:
    out, err = started.communicate(timeout=60)
    return Outcome(started.returncode, out, err)


def done(registry: Registry, **asked: object) -> Job:
    """An errand that a worker has run."""
    job = submit(registry, **asked)
    run(registry.home, "worker", "--drain")
    return registry.jobs.get(job.id)


def test_a_job_as_json_has_every_promised_field(registry: Registry) -> None:
    done(registry)
    shape = {
        "job": 1,
        "kind": "errand",
        "state": "done",
        "attempt": 1,
        "progress": {**PROGRESS, "per_second": type(None), "seconds_left": type(None)},
        "task": None,
        "expert": "sst2@1",
        "error": None,
        "created": TIME,
        "started": TIME,
        "finished": TIME,
        "cancel_requested": False,
        "max_attempts": 3,
        "params": {},
        "result": {"attempt": 1, "expert": "sst2@1"},
    }
    assert_shape(run(registry.home, "jobs", "show", "1", "--json").json, shape)
    assert_shape(run(registry.home, "jobs", "list", "--json").json, [shape])


def test_jobs_are_listed_newest_first_by_state_and_up_to_a_limit(registry: Registry) -> None:
    assert run(registry.home, "jobs", "list", "--json").json == []
    assert run(registry.home, "jobs", "list").out.startswith("No such jobs.")
    done(registry)
    done(registry, wrong="refuse")
    submit(registry)
    listed = run(registry.home, "jobs", "list", "--json").json
    assert [(job["job"], job["state"]) for job in listed] == [(3, "queued"), (2, "failed"), (1, "done")]
    some = run(registry.home, "jobs", "list", "--state", "done", "--state", "queued", "--json").json
    assert [job["job"] for job in some] == [3, 1]
    assert [job["job"] for job in run(registry.home, "jobs", "list", "--limit", "1", "--json").json] == [3]
    table = run(registry.home, "jobs", "list").out.splitlines()
    assert table[0].split() == ["job", "kind", "task", "state", "progress", "created"]
    assert table[2].split()[:5] == ["2", "errand", "-", "failed", "errands.csv,"]
    assert_refused(run(registry.home, "jobs", "list", "--state", "lost"), 2, "'lost'", "queued, running")


def test_showing_a_job_recovers_it_when_its_worker_has_died(registry: Registry) -> None:
    submit(registry)
    owner = registry.jobs.owner()
    registry.jobs.claim(owner, 60)
    owner.close()
    shown = run(registry.home, "jobs", "show", "1")
    assert "needs_recovery" in shown.out
    assert "1 of at most 3" in shown.out
    assert "its worker died or stopped answering" in shown.out


@pytest.mark.parametrize("verb", ["show", "watch", "cancel", "retry", "logs"])
def test_a_job_that_does_not_exist_is_3(registry: Registry, verb: str) -> None:
    assert_refused(run(registry.home, "jobs", verb, "7"), 3, "There is no job '7'", "`registry jobs list`")


def test_a_job_that_waits_is_cancelled_at_once_and_one_that_is_done_is_4(registry: Registry) -> None:
    submit(registry)
    assert run(registry.home, "jobs", "cancel", "1").out == "Job 1 is cancelled.\n"
    assert run(registry.home, "jobs", "cancel", "1", "--json").json["state"] == "cancelled"
    done(registry, steps=2)
    assert_refused(run(registry.home, "jobs", "cancel", "2"), 4, "Job 2 is done")
    assert_refused(run(registry.home, "jobs", "retry", "2"), 4, "Job 2 is done")


def test_a_failed_job_is_tried_again_here_or_by_a_worker(registry: Registry) -> None:
    assert done(registry, wrong="refuse").state == "failed"
    assert_refused(run(registry.home, "jobs", "retry", "1"), 5, "errands.csv, line 2: no label")
    assert registry.jobs.get(1).attempt == 2
    assert run(registry.home, "jobs", "retry", "1", "--detach", "--json").json == {"job": 1}
    assert registry.jobs.get(1).state == "queued"


def test_a_cancelled_job_goes_on_when_it_is_tried_again(registry: Registry) -> None:
    submit(registry)
    registry.jobs.cancel(1)
    assert run(registry.home, "jobs", "retry", "1", "--json").json == {"attempt": 1, "expert": "sst2@1"}


def test_watching_ends_as_the_job_has_ended(registry: Registry) -> None:
    done(registry)
    done(registry, wrong="refuse")
    submit(registry)
    registry.jobs.cancel(3)
    assert run(registry.home, "jobs", "watch", "1", "--json").json == {"attempt": 1, "expert": "sst2@1"}
    assert_refused(run(registry.home, "jobs", "watch", "2"), 5, "errands.csv, line 2: no label")
    assert_refused(
        run(registry.home, "jobs", "watch", "3"), 130, "job 3 was stopped", "registry jobs retry 3"
    )


def test_a_failure_that_nobody_foresaw_is_1_and_names_the_log(registry: Registry) -> None:
    submit(registry)
    owner = registry.jobs.owner()
    claim = registry.jobs.claim(owner, 60)
    assert claim is not None
    registry.jobs.fail(claim, "ZeroDivisionError", "division by zero. This is a defect of the program.")
    owner.close()
    assert_refused(run(registry.home, "jobs", "watch", "1"), 1, "Job 1 failed", "`registry jobs logs 1`")


def test_logs_are_what_attempts_printed(registry: Registry) -> None:
    submit(registry)
    assert run(registry.home, "jobs", "logs", "1") == Outcome(0, "", "")
    log(registry.home, 1).write_text("attempt 1 of job 1\n")
    assert run(registry.home, "jobs", "logs", "1").out == "attempt 1 of job 1\n"
    assert run(registry.home, "jobs", "logs", "1", "--json").json == {
        "job": 1,
        "path": str(log(registry.home, 1)),
        "text": "attempt 1 of job 1\n",
    }


def test_a_worker_runs_all_that_waits_and_says_what_became_of_it(registry: Registry) -> None:
    submit(registry)
    submit(registry, wrong="refuse")
    worker = run(registry.home, "worker", "--drain")
    assert (worker.code, worker.out) == (0, "")
    assert worker.err.splitlines() == [
        "Running the jobs that wait.",
        "Job 1 (errand) is done",
        "Job 2 (errand) is failed: errands.csv, line 2: no label",
    ]


def test_detached_work_is_only_put_in_the_queue_and_a_worker_does_it(
    home: Path, tmp_path: Path, tiny_llama_folder: Path
) -> None:
    rows = write_csv(tmp_path / "mood.csv", mood_rows())
    asked = ("add-task", "--data", str(rows), "--base-model", str(tiny_llama_folder))
    options = ("--epochs", "1", "--device", "cpu", "--detach")
    assert run(home, *asked, *options, "--json").json == {"job": 1}
    assert run(home, *asked, *options).out == (
        "Job 1 waits. `registry worker` runs it; watch it: registry jobs watch 1\n"
    )
    rows.unlink()
    waiting = run(home, "jobs", "show", "1", "--json").json
    assert (waiting["kind"], waiting["task"], waiting["state"]) == ("add_task", "mood", "queued")
    assert run(home, "experts", "--json").json == []
    assert run(home, "worker", "--drain").code == 0
    shown = run(home, "jobs", "show", "1", "--json").json
    assert (shown["state"], shown["expert"]) == ("done", "mood@1")
    assert run(home, "retrain-router", "--router", "closed_form", "--detach", "--json").json == {"job": 2}
    assert run(home, "worker", "--drain").code == 0
    assert run(home, "evaluate", "mood", "--detach", "--json").json == {"job": 3}
    assert run(home, "worker", "--drain").code == 0
    assert run(home, "jobs", "watch", "3", "--json").json["subject"] == "mood@1"
    assert [one["generation"] for one in run(home, "routers", "--json").json] == ["router@1"]


def test_sigterm_lets_a_worker_hand_its_job_on(registry: Registry) -> None:
    submit(registry, steps=600, seconds=0.05)
    with command(registry.home, "worker") as worker:
        wait_until(lambda: process(registry.jobs.get(1)))
        worker.send_signal(signal.SIGTERM)
        left = ended(worker)
    assert (left.code, left.err) == (0, "Waiting for jobs.\n")
    job = registry.jobs.get(1)
    assert (job.state, job.attempt, job.error) == ("queued", 1, None)
    run(registry.home, "worker", "--drain")
    assert registry.jobs.get(1).result == {"attempt": 2, "expert": "sst2@1"}


def test_ctrl_c_while_watching_leaves_the_job_alone(registry: Registry) -> None:
    submit(registry)
    owner = registry.jobs.owner()
    claim = registry.jobs.claim(owner, 60)
    assert claim is not None
    registry.jobs.report(
        claim, {**dict.fromkeys(PROGRESS), "stage": "dreaming", "done": 1, "total": 9, "note": ""}
    )
    with command(registry.home, "jobs", "watch", "1") as watch:
        assert watch.stderr is not None
        assert watch.stderr.readline() == "dreaming\n"
        watch.send_signal(signal.SIGINT)
        assert ended(watch).code == 130
    job = registry.jobs.get(1)
    assert (job.state, job.cancel_requested) == ("running", False)
    registry.jobs.finish(claim, {})
    owner.close()


def test_a_second_ctrl_c_does_not_wait_for_the_next_step(registry: Registry) -> None:
    submit(registry, seconds=600)
    registry.jobs.cancel(1)
    with command(registry.home, "jobs", "retry", "1") as retry:
        wait_until(lambda: registry.jobs.get(1).state == "running" and registry.jobs.get(1).progress)
        retry.send_signal(signal.SIGINT)
        wait_until(lambda: registry.jobs.get(1).cancel_requested)
        assert registry.jobs.get(1).state == "running"
        retry.send_signal(signal.SIGINT)
        stopped = ended(retry)
    assert_refused(stopped, 130, "job 1 was stopped", "registry jobs retry 1")
    assert "Stopping at the next step; Ctrl-C once more ends it at once." in stopped.err
    assert registry.jobs.get(1).state == "cancelled"


def test_ctrl_c_keeps_what_was_trained_and_the_same_command_ends_as_if_nothing_had_been(
    registry: Registry, tmp_path: Path, tiny_llama_folder: Path
) -> None:
    rows = write_csv(tmp_path / "mood.csv", mood_rows())
    asked = ("add-task", "--data", str(rows), "--base-model", str(tiny_llama_folder), "--device", "cpu")
    options = ("--epochs", "50", "--patience", "50", "--json")
    with command(registry.home, *asked, *options) as training:
        wait_until(
            lambda: any((job.progress or {}).get("stage") == "training" for job in registry.jobs.list()), 60
        )
        training.send_signal(signal.SIGINT)
        stopped = ended(training)
    assert (stopped.code, stopped.out) == (130, "")
    assert [(job.state, job.attempt) for job in registry.jobs.list()] == [("cancelled", 1)]
    assert registry.experts() == []
    assert registry.verify() == []
    [checkpoint] = (registry.cache / "checkpoints").iterdir()
    trained = tensors.unpack(checkpoint.read_bytes())[1]["step"]
    resumed = run(registry.home, *asked, *options).json
    assert not checkpoint.exists()
    never_stopped = run(tmp_path / "other", *asked, *options).json
    assert_shape(resumed["sha256"], DIGEST)
    changing = {"seconds"}
    assert {name: value for name, value in resumed.items() if name not in changing} == {
        name: value for name, value in never_stopped.items() if name not in changing
    }
    run_of = [Registry(home).run(1) for home in (registry.home, tmp_path / "other")]
    assert run_of[0].history == run_of[1].history
    assert 0 < trained < 150, "50 epochs of 3 steps"
