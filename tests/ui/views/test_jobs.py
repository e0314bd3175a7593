"""What pages say of jobs: the queue in lines, one job whole, and the same as a command and in Python."""

from pathlib import Path
from typing import Any

import pytest

from registry import Registry
from registry.errors import ConflictError, InvalidSettingError, NotFoundError
from registry.owners import Claim
from tests.registry.samples import add_expert
from trainer.executors.local import log
from trainer.jobs import clone
from ui.views import job_calls as calls
from ui.views import jobs as view

CURVE = [{"epoch": 1, "loss": 0.6, "validation_accuracy": 0.7}]
ROWS = {
    "sha256": "0" * 64,
    "kind": "classification",
    "labels": ["bad", "good"],
    "columns": {"text": "sentence", "label": "label"},
    "source": "mood data.csv",
    "findings": [],
}
WRITTEN = {**ROWS, "kind": "text_generation", "columns": {"text": "text", "target": "answer"}}


def ask(registry: Registry, **settings: Any) -> int:
    """A job that trains the task `mood`."""
    params = {
        "rows": ROWS,
        "task": "mood",
        "base_model": "tiny",
        "settings": settings,
        "device": "cpu",
    }
    return registry.jobs.enqueue("add_task", params, inputs=[b"rows"], task="mood").id


def begin(registry: Registry) -> Claim:
    claim = registry.jobs.claim(registry.jobs.owner(), 60)
    assert claim is not None
    return claim


def test_the_queue_is_listed_newest_first_in_a_few_words(registry: Registry) -> None:
    assert view.list_jobs(registry) == []
    ask(registry)
    registry.jobs.enqueue("retrain_router", {"experts": None})
    claim = begin(registry)
    registry.jobs.report(
        claim,
        {
            "stage": "training",
            "done": 30,
            "total": 120,
            "note": "epoch 1 of 4",
            "per_second": 10.0,
            "seconds_left": 9.0,
            "curve": CURVE,
        },
    )
    waiting, running = view.list_jobs(registry)
    assert (waiting["job"], waiting["state"], waiting["progress"]) == (2, "queued", "-")
    assert {name: running[name] for name in running if name not in ("created", "started")} == {
        "job": 1,
        "kind": "add_task",
        "task": "mood",
        "state": "running",
        "stopping": False,
        "ended": False,
        "cancellable": True,
        "retriable": False,
        "progress": "training 25%, 9 s left",
        "share": 0.25,
        "note": "epoch 1 of 4",
        "per_second": 10.0,
        "seconds_left": 9.0,
        "made": None,
        "already": False,
        "finished": None,
    }
    assert [one["job"] for one in view.list_jobs(registry, "queued")] == [2]
    assert [one["job"] for one in view.list_jobs(registry, limit=1)] == [2]
    assert view.now(running) == "Job 1 (add task) is running: training 25%, 9 s left (epoch 1 of 4)."
    assert view.now(waiting) == "Job 2 (retrain router) is queued; a worker takes it when it is its turn."
    registry.jobs.cancel(1)
    stopping = view.list_jobs(registry)[1]
    assert view.state_of(stopping) == "running, asked to stop"
    assert (stopping["cancellable"], stopping["retriable"]) == (False, False)
    registry.jobs.cancel(2)
    cancelled = view.list_jobs(registry)[0]
    assert (cancelled["cancellable"], cancelled["retriable"]) == (False, True)


def test_one_job_is_shown_with_its_curve_its_log_and_what_it_made(registry: Registry) -> None:
    number = ask(registry)
    claim = begin(registry)
    log(registry.home, number).write_text("attempt 1\nall is well\n")
    registry.jobs.report(
        claim, {"stage": "training", "done": 1, "total": 1, "note": "", "per_second": None,
                "seconds_left": None, "curve": CURVE},
    )  # fmt: skip
    assert view.show_job(registry, number)["curve"] == CURVE
    expert = add_expert(registry, "mood")
    registry.jobs.finish(claim, {"expert": expert.name})
    shown = view.show_job(registry, number)
    assert shown["log"] == "attempt 1\nall is well\n"
    assert (shown["state"], shown["made"], shown["share"]) == ("done", "mood@1", None)
    assert (shown["cancellable"], shown["retriable"]) == (False, False)
    assert shown["curve"] == registry.run(expert.run).history
    assert view.now(shown) == "Job 1 (add task) is done. It made mood@1."
    assert view.facts(shown)["result"] == {"expert": "mood@1"}
    assert view.now({**shown, "already": True}) == (
        "Job 1 (add task) is done. There was nothing to do: that is mood@1 already."
    )
    with pytest.raises(NotFoundError):
        view.show_job(registry, 99)


def test_a_job_whose_worker_died_does_not_count_as_running(registry: Registry) -> None:
    number = ask(registry)
    owner = registry.jobs.owner()
    registry.jobs.claim(owner, 60)
    owner.close()
    assert view.show_job(registry, number)["state"] == "needs_recovery"
    assert view.list_jobs(registry)[0]["progress"] == "its worker died or stopped answering"


def test_of_a_long_log_whole_lines_of_the_end_are_shown(registry: Registry) -> None:
    number = ask(registry)
    assert view.log_text(registry, number, view.TAIL) == ""
    Path(log(registry.home, number)).write_text("".join(f"line {i}\n" for i in range(10_000)))
    shown = view.log_text(registry, number, view.TAIL)
    assert len(shown) <= view.TAIL
    assert shown.startswith("line ")
    assert shown.endswith("line 9999\n")


def test_a_job_is_told_as_a_command_and_in_python(registry: Registry) -> None:
    shown = view.show_job(registry, ask(registry, epochs=2, rank=3))
    assert shown["command"] == [
        "add-task", "--data", "mood data.csv", "--name", "mood", "--text", "sentence", "--base-model",
        "tiny", "--epochs", "2", "--rank", "3",
    ]  # fmt: skip
    assert shown["python"] == (
        "from registry import Registry\n"
        "from trainer import ExpertSettings, add_task\n\n"
        "with Registry() as registry:\n"
        "    added = add_task(registry, 'mood data.csv', name='mood', base_model='tiny', text='sentence',"
        " settings=ExpertSettings(epochs=2, rank=3))\n"
        "    print(added.expert.name, added.metrics)\n"
    )


def test_a_fit_is_told(registry: Registry) -> None:
    fit = registry.jobs.enqueue(
        "retrain_router",
        {"experts": ["mood@1"], "actor": "ada", "router": "auto", "passes": "two", "promote": False},
    )
    assert calls.command(fit) == [
        "retrain-router", "--expert", "mood@1", "--two-pass", "--no-promote", "--router", "auto",
    ]  # fmt: skip
    assert (
        "retrain_router(registry, experts=['mood@1'], passes='two', promote=False, router='auto')"
        in calls.python(fit)
    )


def test_a_combination_is_told(registry: Registry) -> None:
    combined = registry.jobs.enqueue(
        "adapt",
        {
            "rows": ROWS,
            "task": "mood",
            "experts": ["a@1", "b@2"],
            "rank": None,
            "max_length": 64,
            "device": "cpu",
        },
    )
    assert calls.command(combined) == [
        "adapt", "--data", "mood data.csv", "--name", "mood", "--text", "sentence", "--expert", "a@1",
        "--expert", "b@2", "--max-length", "64",
    ]  # fmt: skip
    given = "name='mood', experts=['a@1', 'b@2'], max_length=64, text='sentence'"
    assert f"adapt(registry, 'mood data.csv', {given})" in calls.python(combined)


def test_an_instant_expert_and_a_measurement_are_told(registry: Registry) -> None:
    instant = registry.jobs.get(ask(registry, instant=True))
    assert calls.command(instant)[-3:] == ["--base-model", "tiny", "--instant"]
    measure = registry.jobs.enqueue("evaluate", {"ref": "mood@1", "split": "test", "rows": None})
    assert calls.command(measure) == ["evaluate", "mood@1", "--split", "test"]
    assert "evaluate(registry, 'mood@1', split='test')" in calls.python(measure)


def test_written_answers_are_told_by_their_column(registry: Registry) -> None:
    writing = registry.jobs.enqueue(
        "add_task",
        {
            "rows": WRITTEN,
            "task": "mood",
            "base_model": None,
            "settings": {"targets": "q_proj,v_proj", "options": {"block": 8}},
        },
    )
    assert calls.command(writing)[5:] == [
        "--kind", "text_generation", "--label", "answer",
        "--options", "block=8", "--targets", "q_proj,v_proj",
    ]  # fmt: skip
    assert (
        "name='mood', kind='text_generation', label='answer', "
        "settings=ExpertSettings(options={'block': 8}, targets=('q_proj', 'v_proj'))"
    ) in calls.python(writing)


def test_several_files_are_told_with_what_they_share(registry: Registry) -> None:
    several = registry.jobs.enqueue(
        "add_tasks",
        {
            "tasks": [
                {"task": "mood", "rows": ROWS},
                {"task": "tone", "rows": {**ROWS, "source": "tone.csv"}},
            ],
            "base_model": None,
            "settings": {"epochs": 2},
        },
    )
    assert calls.command(several) == [
        "add-task", "--data", "mood data.csv", "--data", "tone.csv", "--text", "sentence", "--epochs", "2",
    ]  # fmt: skip
    assert (
        "add_tasks(registry, ['mood data.csv', 'tone.csv'], text='sentence', "
        "settings=ExpertSettings(epochs=2))"
    ) in calls.python(several)


def test_a_mixture_is_told(registry: Registry) -> None:
    mixed = registry.jobs.enqueue(
        "train_mixture",
        {"rows": {**WRITTEN, "columns": {"text": "a", "target": "b"}}, "experts": ["a@1", "b@1"],
         "settings": {"freeze_experts": True, "gate": "shared"}},
    )  # fmt: skip
    assert calls.command(mixed) == [
        "train-mixture", "--data", "mood data.csv", "--experts", "a@1", "b@1", "--text", "a",
        "--freeze-experts", "--gate", "shared",
    ]  # fmt: skip
    assert (
        "train_mixture(registry, 'mood data.csv', experts=['a@1', 'b@1'], text='a', "
        "settings=MixtureSettings(freeze_experts=True, gate='shared'))"
    ) in calls.python(mixed)


def test_held_out_files_are_told(registry: Registry) -> None:
    params = registry.jobs.get(ask(registry)).params
    files = {"validation": "dev.csv", "test": "held.csv"}
    held_out = registry.jobs.enqueue("add_task", {**params, "files": files})
    assert calls.command(held_out)[3:] == [
        "--name", "mood", "--text", "sentence", "--validation", "dev.csv", "--test", "held.csv",
        "--base-model", "tiny",
    ]  # fmt: skip
    assert "text='sentence', validation='dev.csv', test='held.csv', settings=" in calls.python(held_out)


def test_a_kind_of_another_distribution_is_told_as_a_retry(registry: Registry) -> None:
    other = registry.jobs.enqueue("of_another_distribution", {})
    assert calls.command(other) == ["jobs", "retry", str(other.id)]
    assert f"registry.jobs.retry({other.id})" in calls.python(other)


def test_what_python_is_told_is_python(registry: Registry) -> None:
    compile(view.show_job(registry, ask(registry, epochs=2))["python"], "told", "exec")


def test_a_job_is_cloned_with_other_settings_and_the_same_rows(registry: Registry) -> None:
    number = ask(registry, epochs=2)
    made = clone(registry, number, {"epochs": 3})
    assert made.id != number
    assert made.params == {**registry.jobs.get(number).params, "settings": {"epochs": 3}}
    assert made.inputs == registry.jobs.get(number).inputs
    # One that waits with these very settings is enough.
    assert clone(registry, number).id == number


def test_a_clone_is_refused_what_a_job_would_be_refused(registry: Registry) -> None:
    number = ask(registry)
    with pytest.raises(InvalidSettingError, match="there is no setting 'epoch'"):
        clone(registry, number, {"epoch": 3})
    fit = registry.jobs.enqueue("retrain_router", {"experts": None})
    with pytest.raises(InvalidSettingError, match="has no settings"):
        clone(registry, fit.id, {"epochs": 3})
    with pytest.raises(NotFoundError):
        clone(registry, 99)
    registry.blobs.path(registry.jobs.get(number).inputs[0]).unlink()
    with pytest.raises(ConflictError, match="not kept any more"):
        clone(registry, number)
