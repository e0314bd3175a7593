"""Single decisions of a frozen router are those that really running it gives, without the base model."""

import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from registry import NotFoundError, Registry
from tests.trainer.pipeline.steps import refit
from tests.trainer.samples import QUICK, TASKS, mood_rows, write
from trainer import MoE, add_task
from trainer.base_model import BaseModel
from trainer.pipeline.looking import decisions
from ui.views.routing import list_mistakes, show_calibration


@pytest.fixture
def erring(registry: Registry, tmp_path: Path, llama: BaseModel) -> Registry:
    """Two tasks with the same texts: no router can tell them apart."""
    rows = mood_rows()
    other = [(text, "warm" if place % 3 else "cold") for place, (text, _) in enumerate(rows)]
    for name, own in (("mood", rows), ("other", other)):
        path = write(tmp_path, "mood", rows=own)
        add_task(registry, path, name=name, base_model=llama, settings=QUICK)
    refit(registry)
    return registry


def test_each_row_is_sent_where_running_the_generation_sends_it(copy: Registry) -> None:
    refit(copy)
    moe = MoE.load(copy, "router@1", device="cpu")
    for task in TASKS:
        found = list(decisions(copy, "router@1", [task]))
        assert len(found) == copy.dataset(task).rows["test"]
        given = moe.predict([(one.row.text, one.row.text_pair) for one in found])
        assert [one.sent for one in found] == [one.task for one in given]
        heaviest = [max(one.weights.values()) for one in given]
        assert [one.weight for one in found] == pytest.approx(heaviest, abs=1e-4)
        assert [one.own for one in found] == pytest.approx([one.weights[task] for one in given], abs=1e-4)


def test_mistakes_are_the_rows_that_the_measures_count(erring: Registry) -> None:
    sent: Counter[str] = Counter()
    for one in decisions(erring, "router@1", ["mood"]):
        sent[one.sent] += 1
    on_record = next(
        one.details["sent"]
        for one in erring.evaluations("router@1")
        if one.details and (one.task, one.split) == ("mood", "test")
    )
    assert sent == on_record
    wrong = [row for task in ("mood", "other") for row in list_mistakes(erring, "router@1", task)]
    assert wrong
    assert {row["text"] for row in wrong} <= {text for text, _ in mood_rows()}
    assert all(row["weight"] >= row["own_weight"] for row in wrong)
    assert list_mistakes(erring, "router@1", "mood", "mood") == []


def test_calibration_counts_every_row_once(erring: Registry) -> None:
    found = show_calibration(erring)
    rows = list(decisions(erring, "router@1"))
    assert found["rows"] == sum(one["rows"] for one in found["bins"]) == len(rows)
    right = sum(one["right"] * one["rows"] for one in found["bins"])
    assert right == pytest.approx(sum(one.sent == one.task for one in rows))
    assert 0 <= found["error"] <= 1


def test_what_is_not_kept_any_more_is_not_computed_anew(erring: Registry) -> None:
    with sqlite3.connect(erring.home / "registry.db") as connection:
        connection.execute("DELETE FROM features")
    with pytest.raises(NotFoundError, match="not kept any more"):
        list(decisions(erring, "router@1"))


def test_an_unknown_task_is_told_from_those_there_are(erring: Registry) -> None:
    with pytest.raises(NotFoundError, match="mood"):
        list(decisions(erring, "router@1", ["mod"]))
