"""`evaluate`: runs the real thing, and says what it cannot measure."""

from pathlib import Path

import pytest

from registry import NotFoundError, Registry
from registry.errors import DataRefusedError, InvalidSettingError
from tests.trainer.samples import TASKS, mood_rows, write
from trainer import MoE, evaluate


def test_what_was_measured_is_what_the_frozen_expert_does(copy: Registry) -> None:
    for task in TASKS:
        on_record = {(one.split, one.metric): one.value for one in copy.evaluations(task)}
        for split in ("validation", "test"):
            report = evaluate(copy, task, split=split, device="cpu")
            assert report.metrics == {"accuracy": on_record[split, "accuracy"]}
            assert (report.subject, report.examples) == (f"{task}@1", copy.dataset(task).rows[split])


def test_an_expert_is_measured_on_rows_of_a_file(copy: Registry, tmp_path: Path) -> None:
    report = evaluate(copy, "mood", data=write(tmp_path, "mood", rows=mood_rows()[::2]), device="cpu")
    rows = mood_rows()[::2]
    labels = [
        one.label for one in MoE.load(copy, expert="mood", device="cpu").predict([row[0] for row in rows])
    ]
    right = sum(label == row[1] for label, row in zip(labels, rows, strict=True))
    assert (report.subject, report.examples, report.metrics) == ("mood@1", 24, {"accuracy": right / 24})


def test_rows_with_a_label_that_the_expert_does_not_know_are_refused(copy: Registry, tmp_path: Path) -> None:
    path = write(tmp_path, "mood", rows=[*mood_rows(), ("So so.", "goood"), ("Not so.", "goood")])
    with pytest.raises(DataRefusedError) as refusal:
        evaluate(copy, "mood", data=path, device="cpu")
    assert str(refusal.value) == (
        f"{path}, line 50: label 'goood' is none of mood@1's: bad, good. Did you mean 'good'?"
    )


def test_measuring_refuses_what_it_cannot_do(copy: Registry, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingError, match="split 'train' is not held out: choose validation or test"):
        evaluate(copy, "mood", split="train")
    with pytest.raises(InvalidSettingError, match="rows from a file measure one expert"):
        evaluate(copy, data=write(tmp_path, "mood"))
    with pytest.raises(NotFoundError, match="Run `registry retrain-router`"):
        evaluate(copy)
    with pytest.raises(NotFoundError, match="moood"):
        evaluate(copy, "moood")
