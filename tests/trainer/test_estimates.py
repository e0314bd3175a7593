"""What a training will cost, told before it: exactly, where it can be known, and without running a model."""

from pathlib import Path

import pytest

from registry import Registry
from registry.errors import InvalidSettingError
from tests.trainer.pipeline.steps import mood
from tests.trainer.samples import QUICK, write
from trainer import estimates, kinds
from trainer.base_model import BaseModel
from trainer.data import read_task
from trainer.estimates import Estimate, estimate
from trainer.settings import ExpertSettings
from trainer.sources.here import outline


def expected(home: Path, folder: Path, spec: str, settings: ExpertSettings) -> Estimate:
    data = read_task(write(folder, "mood"), kinds.load_all("tasks"))
    with Registry(home) as registry:
        return estimate(registry, data, spec, settings)


@pytest.mark.parametrize("name", ["llama", "bert"])
@pytest.mark.parametrize("shape", [{}, {"adapter": "lora", "rank": 2}, {"rank": 3, "first_layer": 2}])
def test_parameters_are_counted_from_files_as_many_as_the_expert_will_have(
    name: str, shape: dict[str, object], tmp_path: Path, registry: Registry, request: pytest.FixtureRequest
) -> None:
    base: BaseModel = request.getfixturevalue(name)
    settings = ExpertSettings(**{"epochs": 1, "max_length": 12, **shape})
    told = expected(tmp_path / "empty", tmp_path, base.record.spec, settings)
    made = mood(registry, tmp_path, base, settings=settings).expert
    assert (told.parameters, told.like) == (made.parameters, None)
    assert expected(registry.home, tmp_path, base.record.spec, settings).parameters == made.parameters


def test_files_tell_the_size_of_the_base_model(llama: BaseModel, tiny_llama_folder: Path) -> None:
    found = outline(str(tiny_llama_folder))
    assert found is not None
    record = llama.record
    assert (found.parameters, found.layers, found.hidden) == (record.parameters, llama.layers, llama.hidden)


def test_what_is_not_here_or_damaged_is_not_guessed(tmp_path: Path, tiny_llama_folder: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for file in tiny_llama_folder.iterdir():
        (damaged / file.name).write_bytes(file.read_bytes()[:-1])
    for spec in ("nobody/nothing", "/no/such", "smollm2-135m", str(damaged), str(tmp_path)):
        assert outline(spec, cache=tmp_path / "cache") is None
    told = expected(tmp_path / "home", tmp_path, str(damaged), QUICK)
    assert (told.parameters, told.per_second, told.scaled) == (None, estimates.DEFAULT_PACE, False)


def test_a_pace_is_scaled_by_the_sizes_of_the_base_models(
    registry: Registry, tmp_path: Path, llama: BaseModel, bert: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "FASTEST", float("inf"))
    fresh = expected(tmp_path / "empty", tmp_path, bert.record.spec, QUICK)
    pace = estimates.DEFAULT_PACE * estimates.DEFAULT_SIZE / bert.record.parameters
    assert (fresh.per_second, fresh.measured_on, fresh.scaled) == (pytest.approx(pace), (), True)
    made = mood(registry, tmp_path, llama).expert
    own = expected(registry.home, tmp_path, llama.record.spec, QUICK)
    other = expected(registry.home, tmp_path, bert.record.spec, QUICK)
    assert (own.measured_on, own.scaled, other.measured_on, other.scaled) == (
        (made.name,),
        False,
        (made.name,),
        True,
    )
    assert other.per_second * bert.record.parameters == pytest.approx(
        own.per_second * llama.record.parameters
    )


def test_a_rank_that_no_layer_can_carry_is_refused(tmp_path: Path, tiny_llama_folder: Path) -> None:
    with pytest.raises(InvalidSettingError, match="rank 5000 does not fit"):
        expected(tmp_path / "home", tmp_path, str(tiny_llama_folder), ExpertSettings(rank=5000))
