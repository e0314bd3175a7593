"""Experts of every adapter kind in one pool, drawn at random: ranks, scales, modes, first layers, linear
layers and kinds of tasks. One batch of all gives each row what its expert gives it alone, and what a plain
model gives that has the expert built in."""

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from registry import Expert, Registry
from tests.tiny_models import SENTENCES
from tests.trainer.pools import publish, route
from tests.trainer.test_mixed_kinds import close
from trainer import MoE, kinds
from trainer.base_model import BaseModel, Batch
from trainer.experts import ExpertModule
from trainer.inputs import Input
from trainer.layouts import config_of, family_of
from trainer.loans import Loan
from trainer.pool import Chosen
from trainer.thawing import thawed

KINDS = [name for name in kinds.names("adapters") if kinds.load("adapters", name).TARGETS]
TASKS = ("classification", "multi_label", "multiple_choice", "regression")
TARGETS = {
    "LlamaModel": ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    "BertModel": ("query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"),
}
EXPERTS = 10


def modes(draw: random.Random, size: int) -> list[int]:
    """Factors of a size, in any number and any order."""
    if draw.random() < 0.4:
        return [size]
    first = draw.choice([divisor for divisor in range(1, size + 1) if size % divisor == 0])
    return draw.sample(split := [first, *(modes(draw, size // first) if first < size else [])], len(split))


def options(draw: random.Random, adapter: str, sizes: set[tuple[int, int]]) -> dict[str, Any]:
    """Some of what the kind can be told."""
    drawn = {
        "tt_lora": {
            "shapes": {
                f"{inputs}x{outputs}": [modes(draw, inputs), modes(draw, outputs)]
                for inputs, outputs in sizes
                if draw.random() < 0.7
            },
            "input_cores": draw.randint(1, 3),
        },
        "sparse": {"block": draw.choice([1, 3, 8, 16, 40])},
    }.get(adapter, {})
    return {name: value for name, value in drawn.items() if value}


def drawn(base: BaseModel, seed: int) -> list[dict[str, Any]]:
    """Designs of experts; every adapter kind and every kind of task is among them."""
    draw = random.Random(f"{base.record.architecture} {seed}")
    found = []
    for place in range(EXPERTS):
        adapter = (KINDS * 2)[place] if place < len(KINDS) else draw.choice(KINDS)
        names = TARGETS[base.record.architecture]
        targets = tuple(draw.sample(names, draw.randint(1, len(names))))
        found.append(
            {
                "adapter": adapter,
                "targets": targets,
                "options": options(draw, adapter, {*base.targets(targets).values()}),
                "rank": draw.randint(1, 9),
                "alpha": draw.choice([0.5, 1.0, 3.0]),
                "first_layer": draw.randint(1, base.layers - 1),
                "task_kind": TASKS[place] if place < len(TASKS) else draw.choice(TASKS),
                "labels": draw.randint(2, 4),
                "max_length": draw.choice([32, 48]),
            }
        )
    # And one that has no adapters at all.
    return [*found, {"adapter": "probe", "labels": 3}]


@dataclass(frozen=True)
class Made:
    registry: Registry
    base: BaseModel
    experts: list[Expert]


@pytest.fixture(scope="module", params=["llama 0", "bert 0", "llama 1", "bert 1"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    name, seed = request.param.split()
    base: BaseModel = request.getfixturevalue(name)
    with Registry(tmp_path_factory.mktemp("mixed") / "home") as registry:
        experts = [
            publish(registry, base, f"task{place}", place, **design)
            for place, design in enumerate(drawn(base, int(seed)))
        ]
        route(registry, base, experts, [*SENTENCES])
        yield Made(registry, base, experts)


def built_in(base: BaseModel, module: ExpertModule) -> nn.Module:
    """A plain model with the expert in it: its update merged into the weights where it is a matrix, else a
    module behind the linear layer. Nothing of forms, parts or visitors is used."""
    model = copy.deepcopy(base.model)
    architecture, values = module.architecture, module.values()
    family = family_of(architecture)
    for layout in module.layouts:
        for place in range(layout.layers):
            size = (layout.inputs, layout.outputs)
            adapter = family.Adapter(config_of(architecture), *size, torch.Generator(), "a layer")
            own = {name: values[layout.file_name(name)][place] for name in layout.values}
            adapter.load_state_dict(own)
            linear = model.get_submodule(f"{base.stack_name}.{layout.first + place}.{layout.module}")
            if family.LINEAR:
                linear.weight.add_(adapter.dense().T)
            else:
                linear.register_forward_hook(
                    lambda _module, given, output, adapter=adapter: adapter(given[0], output)
                )
    return model


def plainly(model: nn.Module, batch: Batch, *, types: bool) -> Tensor:
    more = {"token_type_ids": batch.types} if types else {"use_cache": False}
    states: Tensor = model(input_ids=batch.ids, attention_mask=batch.mask, **more).last_hidden_state
    return states


def test_all_kinds_are_in_the_pool(made: Made) -> None:
    assert {expert.adapter for expert in made.experts} == {*KINDS, "probe"}
    assert {expert.kind for expert in made.experts} == {*TASKS}


@torch.no_grad()
def test_every_row_of_a_mixed_batch_has_the_states_of_a_plain_model_with_its_expert_built_in(
    made: Made,
) -> None:
    base = made.base
    count = len(made.experts)
    texts = [SENTENCES[place % len(SENTENCES)] for place in range(2 * count)]
    slots = [place * 7 % count for place in range(2 * count)]
    moe = MoE.load(made.registry, base=base)
    with Loan(moe.bank) as loan:
        loan.take(slots)
        mixed = base.forward(base.batch(base.tokenize(texts, 32)), Chosen(loan))
    for slot, expert in enumerate(made.experts):
        module = thawed(made.registry, base, expert)
        model = built_in(base, module)
        for row in [row for row, own in enumerate(slots) if own == slot]:
            own = base.batch(base.tokenize(texts[row : row + 1], 32))
            plain = plainly(model, own, types=not base.is_decoder)[0]
            alone = base.forward(own, module.visitor())[0]
            assert torch.allclose(alone, plain, atol=1e-4), expert.adapter
            assert torch.allclose(mixed[row, : len(plain)], plain, atol=1e-4), expert.adapter
            assert torch.allclose(plain, base.forward(own)[0], atol=1e-2) == (not module.layouts)


@torch.no_grad()
def test_in_half_precision_a_mixed_batch_has_nearly_the_same_states(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    moe = MoE.load(made.registry, base=made.base)
    count = len(made.experts)
    batch = made.base.batch(made.base.tokenize([SENTENCES[0]] * count, 32))

    def final() -> Tensor:
        with Loan(moe.bank) as loan:
            loan.take(range(count))
            return made.base.forward(batch, Chosen(loan))

    full = final()
    monkeypatch.setattr(made.base, "dtype", torch.bfloat16)
    half = final()
    assert half.dtype == torch.float32
    distances = (half - full).norm(dim=(1, 2)) / full.norm(dim=(1, 2))
    assert distances.min() > 1e-6
    assert distances.max() < 5e-2
    for top_k in (None, 3):
        answers = moe.predict(asked(), top_k=top_k)
        assert all(one.expert is not None for one in answers)


def asked() -> list[Input]:
    texts = [Input(text) for text in SENTENCES]
    pairs = [Input(text, pair=SENTENCES[0]) for text in SENTENCES[:3]]
    # Short, so that no choice is cut off: of equals, rounding would choose.
    choices = [Input(text[:12], choices=("yes", "no, not at all", "perhaps")[: 2 + place % 2])
               for place, text in enumerate(SENTENCES[:6])]  # fmt: skip
    return [*choices, *texts, *pairs]


@pytest.mark.parametrize(("room", "top_k"), [(None, None), (3, None), (None, 3)])
def test_a_mixed_batch_is_answered_like_each_input_alone(
    made: Made, room: int | None, top_k: int | None
) -> None:
    def loaded() -> MoE:
        moe = MoE.load(made.registry, base=made.base)
        if room is None:
            return moe
        size = sum(moe.bank.shelf(form).size for form in {one.form for one in moe.bank.members})
        return MoE.load(made.registry, base=made.base, budget=room * size)

    together, alone = loaded().predict(asked(), top_k=top_k), loaded()
    assert any(one.mixed for one in together) == (top_k is not None)
    for one, given in zip(together, asked(), strict=True):
        [other] = alone.predict([given], top_k=top_k)
        assert close(one, other), (one, other)


def test_forced_experts_of_every_kind_answer_alike_in_a_batch_and_alone(made: Made) -> None:
    moe = MoE.load(made.registry, base=made.base)
    for expert in made.experts:
        takes = kinds.load("tasks", expert.kind).CHOICES
        own = [one for one in asked() if bool(one.choices) == takes][:4]
        together = moe.predict(own, expert=expert.task)
        alone = MoE.load(made.registry, expert=expert.task, base=made.base)
        for one, given in zip(together, own, strict=True):
            [other] = alone.predict([given])
            assert close(one, other), (one, other)
