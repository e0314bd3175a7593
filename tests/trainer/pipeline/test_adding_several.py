"""`add_tasks`: an expert of each file, in a transaction of its own."""

from pathlib import Path

import numpy as np
import pytest

from registry import Registry
from registry.errors import InvalidSettingError
from tests.trainer.pipeline.steps import Stopped
from tests.trainer.samples import QUICK, TASKS, mood_rows, write
from trainer import add_tasks
from trainer.base_model import BaseModel


@pytest.mark.parametrize("together", [False, True])
def test_several_files_become_an_expert_each(
    copy: Registry, registry: Registry, tmp_path: Path, llama: BaseModel, together: bool
) -> None:
    stages: list[str] = []
    files = [write(tmp_path, task) for task in TASKS]
    made = add_tasks(
        registry,
        files,
        base_model=llama,
        settings=QUICK,
        together=together,
        on_progress=lambda stage, *_: stages.append(stage),
    )
    assert [one.expert.name for one in made] == [f"{task}@1" for task in TASKS]
    assert [stage for stage in dict.fromkeys(stages) if "training" in stage] == (
        ["training"] if together else [f"{task}: training" for task in TASKS]
    )
    for one in made:
        alone = copy.expert(one.expert.name)
        assert (one.expert.dataset, one.expert.config, one.expert.settings_key) == (
            alone.dataset,
            alone.config,
            alone.settings_key,
        )
        values, wanted = (home.tensors(alone.name)[0] for home in (registry, copy))
        for name, value in values.items():
            assert np.allclose(value, wanted[name], atol=2e-3 if together else 0), name
    assert registry.verify() == []
    assert [one.created for one in add_tasks(registry, files, base_model=llama, settings=QUICK)] == [
        False
    ] * 3


def test_of_several_those_that_are_there_are_not_made_again(
    copy: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    more = write(tmp_path, "mood", rows=[*mood_rows(), ("A happy end.", "good")])
    made = add_tasks(copy, [write(tmp_path, "pairs"), more], base_model=llama, settings=QUICK, together=True)
    assert [(one.expert.name, one.created) for one in made] == [("pairs@1", False), ("mood@2", True)]


def test_of_several_those_made_before_one_was_refused_stay(
    registry: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    def refuse(stage: str, _done: int, _total: int, _note: str) -> None:
        if stage.startswith("question"):
            raise Stopped

    files = [write(tmp_path, task) for task in ("mood", "question")]
    with pytest.raises(Stopped):
        add_tasks(registry, files, base_model=llama, settings=QUICK, on_progress=refuse)
    assert [expert.name for expert in registry.experts()] == ["mood@1"]
    made = add_tasks(registry, files, base_model=llama, settings=QUICK)
    assert [(one.expert.name, one.created) for one in made] == [("mood@1", False), ("question@1", True)]


def test_two_files_for_one_task_are_refused_before_anything_is_read(
    registry: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    with pytest.raises(InvalidSettingError) as refusal:
        add_tasks(registry, [write(tmp_path, "mood"), tmp_path / "elsewhere" / "mood.csv"], base_model=llama)
    assert str(refusal.value) == (
        "two files are for the task 'mood': rename one, or add them one by one with --name"
    )
