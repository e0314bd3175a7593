"""Which experts of a pool are asked about which inputs."""

from dataclasses import replace

import pytest
import torch

from registry import Registry
from tests.trainer.pipeline.steps import refit
from tests.trainer.samples import QUICK, TASKS, texts, write
from trainer import MoE, add_task
from trainer.base_model import BaseModel
from trainer.described import from_json
from trainer.generations import RouterDesign
from trainer.inputs import Input
from trainer.routers import from_logits
from trainer.takers import Form, Takers

PLAIN, PAIR = Input("a text"), Input("a text", "another")
CHOICES, BOTH = Input("a text", choices=("a", "b")), Input("a text", "another", choices=("a", "b"))
FORMS = [Form.of(one) for one in (PLAIN, PAIR, CHOICES, BOTH)]


@pytest.fixture(scope="module")
def registry(llama: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Experts of `mood` and `question`, whose rows are single texts, and of `pairs`."""
    folder = tmp_path_factory.mktemp("takers")
    registry = Registry(folder / "home")
    for task in TASKS:
        add_task(registry, write(folder, task), base_model=llama, settings=replace(QUICK, epochs=1))
    refit(registry, router="closed_form")
    return registry


def test_what_an_input_consists_of() -> None:
    assert FORMS == [(False, False), (False, True), (True, False), (True, True)]


def test_inputs_of_a_form_go_to_experts_that_learnt_from_such(registry: Registry) -> None:
    experts = [registry.expert(task) for task in ("mood", "pairs", "question")]
    choosing = [replace(registry.expert("mood"), kind="multiple_choice") for _ in range(2)]
    pool = Takers([*experts, *choosing], paired=[1, 4])
    assert pool.allowed(FORMS).int().tolist() == [
        [1, 0, 1, 0, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 0, 1],
    ]


def test_where_nobody_learnt_from_such_inputs_whoever_can_take_them_is_asked(registry: Registry) -> None:
    mood = registry.expert("mood")
    assert Takers([mood, mood], paired=[]).allowed(FORMS[:2]).all()
    assert Takers([mood, mood], paired=[0, 1]).allowed(FORMS[:2]).all()
    assert Takers([mood, mood], paired=None).allowed(FORMS[:2]).all()
    assert not Takers([mood, mood], paired=[0]).allowed(FORMS[2:]).any()


def test_all_weight_is_on_those_who_are_asked(registry: Registry) -> None:
    experts = [registry.expert(task) for task in ("mood", "pairs", "question")]
    routing = from_logits(torch.tensor([[0.0, 9.0, 1.0], [0.0, -300.0, 1.0]]))
    found = Takers(experts, paired=[1]).among(routing, FORMS[:2])
    assert found.slots[:, 0].tolist() == [2, 1]
    assert torch.allclose(found.weights.sum(-1), torch.ones(2, 1))
    assert found.weights[0, 0, 1] == 0 and found.weights[1, 0, 1] == 1


def test_a_generation_freezes_which_of_its_experts_read_pairs(registry: Registry, llama: BaseModel) -> None:
    generation = registry.generation()
    design = from_json(RouterDesign, generation.config["router"])
    assert [generation.experts[slot] for slot in design.paired or ()] == ["pairs@1"]
    moe = MoE.load(registry, base=llama)
    singles, pairs = [*texts("mood"), *texts("question")], texts("pairs")
    both = [text[0] for text in pairs]
    alone = moe.predict([*singles, *both])
    assert {one.expert for one in alone} <= {"mood@1", "question@1", None}
    assert all(one.weights["pairs"] == 0 for one in alone)
    together = moe.predict([*pairs, *((str(text), "And the room?") for text in singles)])
    assert {one.expert for one in together} <= {"pairs@1", None}


def test_a_generation_of_an_earlier_release_goes_by_its_weights_alone(
    registry: Registry, llama: BaseModel
) -> None:
    generation = registry.generation()
    router = {name: value for name, value in generation.config["router"].items() if name != "paired"}
    earlier = replace(generation, config={**generation.config, "router": router})
    experts = registry.experts(names=earlier.experts)
    thawed = MoE.load(registry, base=llama)
    moe = MoE(llama, experts, registry.blobs, earlier, thawed.router, None, None)
    [alone] = moe.predict(["4 films cost 4 coins"])
    assert alone.weights["pairs"] > 0
