"""The arithmetic of the promotion gate."""

import itertools
import json

import pytest

from trainer.pipeline.gate import Comparison, Gate, judge, p_value


def test_the_chance_is_that_of_tossing_coins() -> None:
    for tosses in range(9):
        outcomes = [sum(heads) for heads in itertools.product((0, 1), repeat=tosses)]
        for lost in range(tosses + 1):
            expected = sum(heads >= lost for heads in outcomes) / 2**tosses
            assert p_value(lost, tosses - lost) == expected
    assert p_value(0, 0) == 1
    assert p_value(5000, 5000) == pytest.approx(0.504, abs=1e-3)
    assert p_value(3000, 0) == 2.0**-3000 == 0


def compared(lost: int, gained: int, rows: int, tolerance: float = 1.0) -> Comparison:
    kept = rows - lost - gained
    before = [True] * lost + [False] * gained + [True] * kept
    after = [False] * lost + [True] * gained + [True] * kept
    return Comparison.of("mood", before, after, tolerance)


def test_a_task_fails_when_its_loss_is_both_larger_than_the_tolerance_and_no_chance() -> None:
    assert compared(11, 0, 1000) == Comparison(
        task="mood",
        answered=True,
        rows=1000,
        before=1.0,
        after=0.989,
        lost=11,
        gained=0,
        p_value=2.0**-11,
        passed=False,
    )
    assert compared(10, 0, 1000).passed, "exactly the tolerance is tolerated"
    assert compared(3, 0, 3).passed, "three rows lost may be chance: p is 1/8"
    assert not compared(4, 0, 4).passed
    assert compared(30, 25, 100).passed, "five points, but thirty against twenty-five may be chance"
    assert not compared(40, 20, 100).passed
    assert compared(40, 20, 100, tolerance=20).passed
    assert compared(0, 50, 100).passed
    assert str(compared(40, 20, 100)) == "mood lost 20.0 points (100 rows, p 0.0067)"


def test_losses_too_small_to_be_told_from_chance_add_up() -> None:
    names = [f"task{number}" for number in range(20)]
    was = {name: [True] * 10 for name in names}
    now = {name: [False] * 2 + [True] * 8 for name in names}
    gate = judge(was, now, "router@1", 1.0)
    assert all(one.passed for one in gate.tasks)
    assert gate.together is not None
    assert (gate.passed, gate.together.rows, gate.together.lost) == (False, 200, 40)
    assert gate.as_json()["failed"] == ["all tasks"]
    assert str(gate) == "all tasks lost 20.0 points (200 rows, p 9.1e-13) against router@1"
    assert judge({**was}, {**was}, "router@1", 0.0).passed


def test_a_verdict_names_the_worst_losses_and_counts_the_others() -> None:
    was = {f"task{number}": [True] * 100 for number in range(7)}
    now = {f"task{number}": [False] * (10 + number) + [True] * (90 - number) for number in range(7)}
    gate = judge(was, now, "router@3", 1.0)
    assert [one.task for one in gate.failed] == [f"task{number}" for number in reversed(range(7))]
    assert str(gate).startswith("task6 lost 16.0 points (100 rows, p 1.5e-05), task5 lost 15.0 points")
    assert str(gate).endswith(", task2 lost 12.0 points (100 rows, p 0.00024), and 2 more against router@3")
    document = gate.as_json()
    assert document["failed"] == [one.task for one in gate.failed]
    assert [one["points"] for one in document["tasks"]] == [10, 11, 12, 13, 14, 15, 16]
    assert document["together"]["points"] == 13
    assert Gate.from_json(json.loads(json.dumps(document))) == gate
