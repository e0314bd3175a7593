"""Where no expert fits, nobody answers unless asked to; what is covered is measured."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from registry import Registry
from registry.errors import InvalidSettingError
from tests.trainer.pipeline.steps import refit
from tests.trainer.samples import TASKS, texts
from trainer import MoE, Prediction, evaluate
from trainer.inputs import Text
from trainer.pipeline.archive import Archive
from trainer.pipeline.routed_pool import RoutedPool

ASKED: list[Text] = [text for task in TASKS for text in texts(task)]
HALF = {"coverage": 0.5, "promote": False}
WAYS = {
    "states": {"router": "closed_form"},
    "states of the paper's router": {"router": "noisy_top1"},
    "states of a pass of their own": {"router": "closed_form", "passes": "two"},
    "text": {"router": "lexical"},
}


def known(moe: MoE, given: Sequence[Text]) -> list[bool]:
    return [one.expert is not None for one in moe.predict(given)]


def close(one: Prediction, other: Prediction) -> bool:
    numbers = {
        "probability": None,
        "margin": 0.0,
        "score": None,
        "probabilities": {},
        "weights": {},
        "mixed": {},
    }
    pairs = [
        (one.probability or 0.0, other.probability or 0.0),
        *zip(one.probabilities.values(), other.probabilities.values(), strict=True),
        *zip(one.weights.values(), other.weights.values(), strict=True),
        *zip(one.mixed.values(), other.mixed.values(), strict=True),
    ]
    # The reason tells the score in four digits, the last of which may differ.
    left, right = (replace(each, **numbers, reason=each.reason and "told") for each in (one, other))
    alike = one.score == pytest.approx(other.score, rel=1e-3, abs=1e-3)
    return left == right and alike and all(a == pytest.approx(b, abs=1e-4) for a, b in pairs)


@pytest.mark.parametrize("way", WAYS)
def test_a_mixed_batch_with_and_without_answers_is_told_like_each_text_alone(
    copy: Registry, way: str
) -> None:
    refit(copy, **WAYS[way], **HALF)
    moe = MoE.load(copy, "router@1", device="cpu")
    for wish in ({}, {"fallback": "top-k"}, {"top_k": 2}, {"top_k": 2, "fallback": "abstain"}):
        together = moe.predict(ASKED, **wish)
        alone = [one for text in ASKED for one in moe.predict([text], **wish)]
        assert all(close(a, b) for a, b in zip(together, alone, strict=True))
        assert {one.reason is None for one in together} == {True, False}


def test_who_does_not_fit_gets_no_answer_but_a_reason(copy: Registry) -> None:
    refit(copy, **HALF)
    moe = MoE.load(copy, "router@1", device="cpu")
    assert moe.fit is not None
    for one in moe.predict(ASKED):
        assert one.threshold == copy.generation("router@1").config["fit"]["threshold"]
        assert one.score is not None
        assert set(one.weights) == set(TASKS)
        if one.score <= moe.fit.design.threshold:
            assert one.reason is None
            assert one.expert == f"{one.task}@1"
            continue
        assert (one.expert, one.task, one.label, one.probability) == (None, None, None, None)
        assert (one.probabilities, one.mixed, one.generation) == ({}, {}, "router@1")
        assert one.reason == moe.fit.reason(one.score)


def test_the_answer_where_an_expert_fits_is_the_same_whatever_happens_elsewhere(copy: Registry) -> None:
    refit(copy, **HALF)
    moe = MoE.load(copy, "router@1", device="cpu")
    silent, several, best = (moe.predict(ASKED, **wish) for wish in ({}, {"fallback": "top-k"}, {"top_k": 1}))
    for one, other, first in zip(silent, several, best, strict=True):
        if one.expert is not None:
            assert close(one, other)
            assert close(one, first)
        else:
            ordered = sorted(other.weights, key=lambda task: -other.weights[task])
            # Experts without any weight have no share; one that has all of it answers alone.
            sharing = [f"{task}@1" for task in ordered if other.weights[task] > 0]
            assert list(other.mixed) == (sharing if len(sharing) > 1 else [])
            assert first.expert == other.expert == sharing[0]
            assert first.reason == other.reason == one.reason
            assert not first.mixed


def test_a_named_expert_always_answers(copy: Registry) -> None:
    refit(copy, **HALF)
    moe = MoE.load(copy, "router@1", device="cpu")
    for one in [*moe.predict(ASKED, expert="mood"), *MoE.load(copy, expert="mood").predict(ASKED)]:
        assert (one.expert, one.score, one.threshold, one.reason) == ("mood@1", None, None, None)


def test_the_threshold_is_frozen_with_the_generation(copy: Registry) -> None:
    first = refit(copy, **HALF).generation
    again = refit(copy, **HALF)
    assert (again.created, again.generation) == (False, first)
    second = refit(copy, coverage=0.8, promote=False).generation
    assert second.root != first.root
    assert first.config["fit"]["threshold"] < second.config["fit"]["threshold"]
    assert (first.config["fit"]["coverage"], second.config["fit"]["coverage"]) == (0.5, 0.8)
    fitting = [sum(known(MoE.load(copy, one.name, device="cpu"), ASKED)) for one in (first, second)]
    assert fitting[0] < fitting[1]


def test_with_few_held_out_rows_an_expert_always_fits(copy: Registry) -> None:
    made = refit(copy)
    assert made.generation.config["fit"]["threshold"] is None
    assert made.metrics["test"]["coverage"] == 1.0
    assert all(known(MoE.load(copy, device="cpu"), [*ASKED, "zxq " * 9]))


def test_a_coverage_that_is_no_share_is_refused_before_anything_is_fitted(copy: Registry) -> None:
    with pytest.raises(InvalidSettingError, match="coverage 98 must be above 0 and at most 1"):
        refit(copy, coverage=98)
    assert copy.generations() == []


@pytest.mark.parametrize("way", WAYS)
def test_coverage_is_measured_as_running_the_generation_measures_it(copy: Registry, way: str) -> None:
    made = refit(copy, **WAYS[way], **HALF)
    report = evaluate(copy, "router@1", device="cpu")
    assert report.metrics == pytest.approx(made.metrics["test"])
    assert report.per_task is not None
    for task, found in report.per_task.items():
        assert found == pytest.approx(made.per_task[task])
    assert 0 < report.metrics["coverage"] < 1
    rows = {task: copy.dataset(task).rows["test"] for task in TASKS}
    mean = sum(found["coverage"] * rows[task] for task, found in report.per_task.items()) / sum(rows.values())
    assert report.metrics["coverage"] == pytest.approx(mean)


def test_accuracies_count_rows_that_nobody_answers_as_if_answered(copy: Registry) -> None:
    half, whole = (refit(copy, coverage=share, promote=False) for share in (0.5, 1.0))
    for split in ("validation", "test"):
        for name in ("routing_accuracy", "routed_accuracy", "oracle_accuracy"):
            assert half.metrics[split][name] == whole.metrics[split][name]
        assert half.metrics[split]["coverage"] < whole.metrics[split]["coverage"] == 1.0


def test_of_validation_rows_as_many_are_covered_as_was_asked(copy: Registry) -> None:
    generation = refit(copy, **HALF).generation
    pool = RoutedPool.frozen(Archive(copy, "cpu"), generation)
    fits = []
    for expert in pool.experts:
        rows = pool.archive.rows(expert)
        fits += pool.replies(rows, rows.places("validation")).fits or []
    assert generation.config["fit"]["rows"] == len(fits)
    assert sum(fits) == -(-(len(fits) + 1) // 2)
