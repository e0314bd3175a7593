"""The promotion gate, with a router that really takes an old task's rows away. Arithmetic: test_verdicts."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from registry import ConflictError, Registry
from registry.errors import InvalidSettingError
from tests.trainer.pipeline.steps import mood, refit, state
from tests.trainer.samples import QUICK, question_rows, write
from trainer import MoE, add_task, evaluate
from trainer.base_model import BaseModel

NOUNS = [f"{kind} {thing}" for kind in ("new", "old", "red") for thing in ("film", "book", "room", "trip")]
WORDS = {"good": ("lovely", "superb", "clever", "happy"), "bad": ("dull", "awful", "wooden", "bleak")}
ROWS = [(f"The {noun} was {word}.", label) for noun in NOUNS for label in WORDS for word in WORDS[label]]
"""Enough rows of one task that what it loses cannot be chance."""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, llama: BaseModel) -> Path:
    """A home with the tasks mood and question, and their router in production."""
    folder = tmp_path_factory.mktemp("before")
    settings = replace(QUICK, epochs=12)
    with Registry(folder / "home") as registry:
        train, test = write(folder, "mood", rows=ROWS[::2]), folder / "test"
        test.mkdir()
        add_task(
            registry, train, test=write(test, "mood", rows=ROWS[1::2]), base_model=llama, settings=settings
        )
        add_task(registry, write(folder, "question"), base_model=llama, settings=QUICK)
        refit(registry)
    return folder / "home"


@pytest.fixture(scope="module")
def rivals(before: Path, tmp_path_factory: pytest.TempPathFactory, llama: BaseModel) -> Path:
    """That home with one more task that has the texts of mood under other labels, and no router over it yet.

    No router can tell the two apart, and the one whose name comes first wins all ties.
    """
    folder = tmp_path_factory.mktemp("rivals")
    home = shutil.copytree(before, folder / "home")
    with Registry(home) as registry:
        other = [(text, "warm" if place % 3 else "cold") for place, (text, _) in enumerate(ROWS[::2])]
        path = write(folder, "mood", rows=other)
        add_task(registry, path, name="again", base_model=llama, settings=QUICK)
    return home


@pytest.fixture
def home(before: Path, tmp_path: Path) -> Registry:
    return Registry(shutil.copytree(before, tmp_path / "copy"))


@pytest.fixture
def rivalry(rivals: Path, tmp_path: Path) -> Registry:
    return Registry(shutil.copytree(rivals, tmp_path / "copy"))


def targets(registry: Registry) -> dict[str, str]:
    return {alias.name: alias.target for alias in registry.aliases()}


def during_the_comparison(work: Callable[[], object]) -> Callable[[str, int, int, str], None]:
    """Does `work` once, when a generation is being compared."""
    works = [work]

    def progress(stage: str, done: int, total: int, note: str) -> None:
        if stage.startswith("comparing") and works:
            works.pop()()

    return progress


@pytest.mark.parametrize("tolerance", [-1.0, 100.5, float("nan"), float("inf")])
def test_a_tolerance_is_a_number_of_points(home: Registry, tolerance: float) -> None:
    with pytest.raises(InvalidSettingError, match="must be from 0 to 100 points"):
        refit(home, tolerance=tolerance)


# A router that loses an old task


def test_a_generation_by_which_an_old_task_loses_stays_a_candidate(rivalry: Registry) -> None:
    made = refit(rivalry)
    assert (made.created, made.promoted, made.refused) == (True, False, True)
    assert made.confusion["mood"]["again"] > 10
    assert targets(rivalry) == {"candidate": "router@2", "production": "router@1"}
    gate = made.gate
    assert gate is not None
    assert (gate.passed, gate.against, gate.problem) == (False, "router@1", None)
    assert [(one.task, one.passed) for one in gate.tasks] == [("mood", False), ("question", True)]
    assert [move.target for move in rivalry.history("production")] == ["router@1"]
    [candidate, _] = rivalry.history("candidate")
    assert candidate.gate == gate.as_json()
    assert candidate.reason == f"retrain-router: {gate}"
    assert candidate.reason.startswith("retrain-router: mood lost ")
    assert candidate.actor is not None
    assert MoE.load(rivalry, device="cpu").generation == rivalry.generation(1)


def test_its_figures_are_those_that_really_running_both_gives(rivalry: Registry) -> None:
    gate = refit(rivalry).gate
    assert gate is not None
    rows = {
        task: sum(rivalry.dataset(task).rows[split] for split in ("validation", "test"))
        for task in ("mood", "question")
    }
    assert {one.task: one.rows for one in gate.tasks} == rows
    for name, share in (("router@1", "before"), ("router@2", "after")):
        right = dict.fromkeys(rows, 0.0)
        for split in ("validation", "test"):
            report = evaluate(rivalry, name, split=split, device="cpu")
            assert report.per_task is not None
            for task in rows:
                count = rivalry.dataset(task).rows[split]
                right[task] += report.per_task[task]["routed_accuracy"] * count
        for one in gate.tasks:
            assert getattr(one, share) == pytest.approx(right[one.task] / one.rows)


def test_asked_again_the_gate_says_the_same_and_nothing_is_written(rivalry: Registry) -> None:
    first = refit(rivalry)
    stored, moves = state(rivalry), rivalry.history("candidate")
    again = refit(rivalry)
    assert replace(again, seconds=0) == replace(first, seconds=0, created=False)
    assert (state(rivalry), rivalry.history("candidate")) == (stored, moves)


@pytest.mark.parametrize("when", ["at once", "later"])
def test_a_person_can_overrule_the_gate_and_that_is_recorded(rivalry: Registry, when: str) -> None:
    if when == "later":
        refit(rivalry)
    made = refit(rivalry, promote=True, actor="ada")
    assert (made.promoted, made.refused, made.created) == (True, False, when == "at once")
    assert made.gate is not None
    assert not made.gate.passed
    assert targets(rivalry) == {"candidate": "router@2", "production": "router@2"}
    move = rivalry.history("production")[0]
    assert (move.action, move.target, move.previous, move.actor) == ("promote", "router@2", "router@1", "ada")
    assert move.reason == f"retrain-router --promote, although: {made.gate}"
    assert "mood lost " in move.reason
    assert move.gate == made.gate.as_json()
    assert rivalry.rollback().target == "router@1"


def test_a_larger_tolerance_lets_it_pass(rivalry: Registry) -> None:
    assert refit(rivalry).refused
    made = refit(rivalry, tolerance=100)
    assert (made.promoted, made.gate and made.gate.passed) == (True, True)
    assert rivalry.history()[0].reason == (
        "retrain-router: no task is shown to lose more than 100 points against router@1"
    )


def test_unasked_it_is_compared_but_neither_promoted_nor_refused(rivalry: Registry) -> None:
    made = refit(rivalry, promote=False)
    assert (made.promoted, made.refused, made.gate and made.gate.passed) == (False, False, False)
    assert targets(rivalry) == {"candidate": "router@2", "production": "router@1"}


# What passes, and what cannot be compared


def test_a_task_that_takes_nothing_from_others_goes_into_production(
    home: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    rows = [(f"{number} and {number} make", "odd" if number % 2 else "even") for number in range(40)]
    add_task(home, write(tmp_path, "mood", rows=rows), name="sums", base_model=llama, settings=QUICK)
    made = refit(home)
    assert (made.promoted, made.refused) == (True, False)
    assert made.gate is not None
    assert [one.task for one in made.gate.tasks] == ["mood", "question"]
    assert targets(home) == {"candidate": "router@2", "production": "router@2"}
    assert home.history()[0].reason == (
        "retrain-router: no task is shown to lose more than 1 point against router@1"
    )


def test_a_task_that_is_left_out_is_lost_whole(home: Registry) -> None:
    made = refit(home, experts=["mood"])
    assert (made.promoted, made.refused) == (False, True)
    assert made.gate is not None
    [left_out] = made.gate.failed
    assert (left_out.task, left_out.answered, left_out.after) == ("question", False, 0.0)
    assert str(made.gate) == f"question is left out ({left_out.rows} rows) against router@1"


def test_a_new_version_is_compared_on_the_rows_of_today(
    home: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    rows = [(text, "where" if label == "place" else label) for text, label in question_rows()]
    add_task(home, write(tmp_path, "question", rows=rows), base_model=llama, settings=QUICK)
    gate = refit(home).gate
    assert gate is not None
    question = next(one for one in gate.tasks if one.task == "question")
    report = evaluate(home, "question@1", data=write(tmp_path, "question"), device="cpu")
    assert question.before < report.metrics["accuracy"]
    assert (
        question.rows == home.dataset("question").rows["validation"] + home.dataset("question").rows["test"]
    )


def test_a_production_on_another_base_model_is_compared_too(
    home: Registry, tmp_path: Path, bert: BaseModel
) -> None:
    mood(home, tmp_path, bert)
    made = refit(home, experts=["mood@2"])
    assert made.gate is not None
    assert made.gate.problem is None
    assert [(one.task, one.answered) for one in made.gate.tasks] == [("mood", True), ("question", False)]


def test_a_production_that_cannot_be_run_stays_until_a_person_says_otherwise(home: Registry) -> None:
    [blob] = (home.home / "blobs").rglob(home.generation(1).sha256)
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:-1])
    made = refit(home, router="lexical")
    assert (made.promoted, made.refused) == (False, True)
    assert made.gate is not None
    assert str(made.gate).startswith("router@1 cannot be run to compare with: ")
    assert (made.gate.tasks, made.gate.together) == ((), None)
    assert refit(home, router="lexical", promote=True).promoted
    assert home.history()[0].reason == f"retrain-router --promote, although: {made.gate}"


def test_a_production_that_moves_meanwhile_is_not_moved_again(home: Registry) -> None:
    refit(home, seed=1, promote=False)
    move = during_the_comparison(lambda: home.promote("router@2", actor="ada"))
    made = refit(home, seed=2, on_progress=move)
    assert (made.promoted, made.refused) == (False, True)
    assert str(made.gate) == (
        "production moved from router@1 to router@2 while router@3 was compared: run it again"
    )
    assert targets(home) == {"candidate": "router@3", "production": "router@2"}
    assert refit(home, seed=2).promoted


def test_generation_aliases_and_what_finishes_the_work_are_published_together(home: Registry) -> None:
    before = state(home)

    def refuse(made: object) -> None:
        assert targets(home) == {"candidate": "router@2", "production": "router@2"}
        raise ConflictError("this job is another worker's by now")

    with pytest.raises(ConflictError, match="another worker's"):
        refit(home, seed=1, finish=refuse)
    after = state(home)
    assert {name: value for name, value in after.items() if name != "blobs"} == {
        name: value for name, value in before.items() if name != "blobs"
    }
    told: list[object] = []
    made = refit(home, seed=1, finish=told.append)
    assert told == [made]
    again = refit(home, seed=1, finish=told.append)
    assert told == [made, again]


def test_a_report_and_its_numbers_on_record_are_published_together(home: Registry, tmp_path: Path) -> None:
    def refuse(report: object) -> None:
        raise ConflictError("this job is another worker's by now")

    for name in ("mood@1", "router@1"):
        before = home.evaluations(name)
        with pytest.raises(ConflictError):
            evaluate(home, name, device="cpu", finish=refuse)
        assert home.evaluations(name) == before
        report = evaluate(home, name, device="cpu")
        newest = home.evaluations(name)[: len(home.evaluations(name)) - len(before)]
        own = {one.metric: one.value for one in newest if one.task == (None if "router" in name else "mood")}
        assert own == report.metrics
        assert {one.split for one in newest} == {"test"}
    before = home.evaluations("mood@1")
    told: list[object] = []
    report = evaluate(home, "mood", data=write(tmp_path, "mood", rows=ROWS), device="cpu", finish=told.append)
    assert (told, home.evaluations("mood@1")) == ([report], before)
