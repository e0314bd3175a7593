"""What a person may choose of an adapter's shape: any modes, any linear layers, any option of its kind."""

from pathlib import Path
from typing import Any

import pytest

from registry import Registry
from registry.errors import InvalidSettingError, NotFoundError
from tests.trainer.pipeline.steps import mood
from tests.trainer.pools import DESIGN
from trainer.adapters.tt_lora import read_shapes
from trainer.base_model import BaseModel
from trainer.experts import ExpertModule, design
from trainer.layouts import Architecture
from trainer.settings import settings_of
from trainer.shapes import config_from


def designed(base: BaseModel, **changed: Any) -> Architecture:
    return design(base, labels=("a", "b"), **(DESIGN | changed))


def cores(base: BaseModel, **changed: Any) -> dict[str, list[int]]:
    """The mode of each core, by linear layer."""
    module = ExpertModule(base, designed(base, **changed))
    return {layout.module: [kept.shape[1] for kept in layout.values.values()] for layout in module.layouts}


def test_modes_are_those_that_were_asked_for_and_others_stay_automatic(llama: BaseModel) -> None:
    options = {"shapes": "4,3,4:2,24"}
    assert cores(llama, options=options) == {
        "self_attn.q_proj": [4, 3, 4, 2, 24],
        "self_attn.v_proj": [8, 6, 4, 6],
    }
    both = {"shapes": "48:48 2,24:3,8"}
    assert cores(llama, options=both, targets=("v_proj", "q_proj")) == {
        "self_attn.q_proj": [48, 48],
        "self_attn.v_proj": [2, 24, 3, 8],
    }


def test_the_number_of_cores_and_the_linear_layers_are_chosen(bert: BaseModel) -> None:
    found = cores(
        bert,
        rank=2,
        options={"input_cores": "3", "output_cores": 1},
        targets=("intermediate.dense", "output.dense"),
    )
    assert found == {"intermediate.dense": [4, 4, 3, 96], "output.dense": [6, 4, 4, 48]}


def test_modes_whose_product_is_not_the_size_of_a_layer_are_refused(llama: BaseModel) -> None:
    with pytest.raises(InvalidSettingError) as refusal:
        designed(llama, options={"shapes": "8,6:5,5"})
    assert str(refusal.value) == (
        "modes 8,6:5,5 are for a layer 48 -> 25; those to be adapted are 48 -> 24, 48 -> 48"
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("8,6", "must be two lists of whole numbers above 0"),
        ("8,6:0", "must be two lists of whole numbers above 0"),
        ("8,6:4,6:1", "must be two lists of whole numbers above 0"),
        ("8;6:4", "must be whole numbers"),
        (" ", "must be modes by the size of their layer"),
        (7, "must be modes by the size of their layer"),
        ({"48x48": [[8, 6], [24]]}, "must be modes by the size of their layer"),
    ],
)
def test_what_are_no_modes_is_refused_with_an_example(given: object, said: str) -> None:
    with pytest.raises(InvalidSettingError, match=said) as refusal:
        read_shapes(given, None)
    assert str(refusal.value).endswith("24,24:16,12 for layers 576 -> 192")


def test_modes_are_also_read_as_they_are_stored() -> None:
    stored = {"48x24": [[8, 6], [24]], "48x48": [[48], [48]]}
    assert read_shapes(stored, {(48, 24), (48, 48)}) == read_shapes("8,6:24 48:48", None) == stored


@pytest.mark.parametrize(
    ("adapter", "options", "said"),
    [
        ("probe", {"block": 8}, "probe has no option 'block'; it has none."),
        ("lora", {"shapes": "1:1"}, "lora has no option 'shapes'; it has none."),
        ("sparse", {"blok": 8}, "sparse has no option 'blok'; it has block. Did you mean 'block'?"),
        ("sparse", {"block": "big"}, "option block=big must be a whole number"),
        ("sparse", {"block": 1.5}, "option block=1.5 must be a whole number"),
        ("sparse", {"block": True}, "option block=True must be a whole number"),
        ("sparse", {"block": 0}, "block 0 is too small: choose 1 or more"),
        ("sparse", {"rank": 2}, "sparse has no option 'rank'; it has block."),
        ("tt_lora", {"zero_start": "no"}, "option zero_start=no must be true or false"),
        ("tt_lora", {"input_cores": 99}, "input_cores=99 must be from 1 to 12"),
    ],
)
def test_an_option_that_the_kind_does_not_take_is_refused_in_one_line(
    adapter: str, options: dict[str, object], said: str
) -> None:
    with pytest.raises(InvalidSettingError) as refusal:
        config_from(adapter, rank=None, alpha=None, preset="default", options=options)
    assert str(refusal.value) == said


def test_options_replace_those_of_the_preset() -> None:
    options = {"zero_start": "true", "output_cores": 2.0}
    found = config_from("tt_lora", rank=3, alpha=None, preset="paper", options=options)
    assert (found.rank, found.alpha, found.input_cores, found.output_cores) == (3, 16.0, 4, 2)
    assert found.zero_start is True


def test_a_kind_without_adapters_takes_no_linear_layers(llama: BaseModel) -> None:
    with pytest.raises(InvalidSettingError, match="probe adapts no linear layers: leave targets out"):
        designed(llama, adapter="probe", targets=("q_proj",))


@pytest.mark.parametrize("targets", [("q_proj", "gate"), ("gate",)])
def test_a_linear_layer_that_the_base_model_does_not_have_is_refused_with_those_it_has(
    llama: BaseModel, targets: tuple[str, ...], registry: Registry, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError) as refusal:
        mood(registry, tmp_path, llama, settings=settings_of({"targets": targets}))
    assert str(refusal.value) == (
        "no linear layer called gate; this model has "
        "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj"
    )


def test_names_that_several_linear_layers_end_with_are_told_in_full(bert: BaseModel) -> None:
    with pytest.raises(
        NotFoundError,
        match=r"attention\.output\.dense, intermediate\.dense, key, output\.dense, query, value$",
    ):
        designed(bert, targets=("down_proj",))


@pytest.mark.parametrize("adapter", ["bottleneck", "lora", "sparse", "tt_lora"])
def test_a_task_is_added_with_the_shape_that_was_asked_for(
    adapter: str, registry: Registry, tmp_path: Path, llama: BaseModel
) -> None:
    given = {"adapter": adapter, "rank": 2, "alpha": 3.0, "first_layer": 3, "targets": "up_proj,o_proj"}
    settings = settings_of({**given, "epochs": 1, "max_length": 12})
    made = mood(registry, tmp_path, llama, settings=settings)
    found = made.expert.config["architecture"]
    assert found["targets"] == ["up_proj", "o_proj"]
    assert (found["adapter_config"]["rank"], found["adapter_config"]["alpha"]) == (2, 3.0)
    assert mood(registry, tmp_path, llama, settings=settings).created is False
