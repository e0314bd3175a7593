"""Adapters that settle something by the first rows: what they are shown, and that a run that was cut goes on
with what was settled."""

import copy
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch

from tests.trainer.test_training import (
    ROWS,
    SETTINGS,
    TRAINED,
    TRAINING,
    VALIDATION,
    encoded,
    frozen,
    plan,
    split,
    train,
)
from trainer import kinds
from trainer.base_model import BaseModel
from trainer.checkpoints import Checkpoint
from trainer.experts import ExpertModule
from trainer.learner import TrainingState
from trainer.looks import STAGE, Felt, look
from trainer.progress import silent
from trainer.trainee import Trainee


def trainee(base: BaseModel, seed: int = 0, adapter: str = "sparse") -> Trainee:
    module = ExpertModule(base, plan(base, adapter), seed)
    return Trainee(module, encoded(base), split(TRAINING), split(VALIDATION), SETTINGS)


def places(made: Trainee) -> list[list[int]]:
    return [value.tolist() for value in made.module.values().values() if not value.is_floating_point()]


def test_what_is_felt_is_the_gradient_of_the_weights(base: BaseModel) -> None:
    layouts = ExpertModule(base, plan(base, "sparse")).layouts
    batch = base.batch(base.tokenize([text for text, _ in ROWS[:4]], 32))
    felt = Felt(layouts, base.device)
    base.forward(batch, felt)[batch.mask.bool()].square().sum().backward()
    model = copy.deepcopy(base.model).requires_grad_(True)
    more = {"use_cache": False} if base.is_decoder else {"token_type_ids": batch.types}
    states = model(input_ids=batch.ids, attention_mask=batch.mask, **more).last_hidden_state
    states[batch.mask.bool()].square().sum().backward()
    for layout in layouts:
        for place, found in enumerate(felt.gradient(layout)):
            layer = layout.first + place
            linear = model.get_submodule(f"{base.stack_name}.{layer}.{layout.module}")
            assert torch.equal(base.weight(layer, layout.module), linear.weight.T)
            assert torch.allclose(found, linear.weight.grad.T, atol=1e-3 * found.abs().max().item())


def test_what_is_settled_follows_the_rows_and_not_the_seed_of_the_start(base: BaseModel) -> None:
    made, other = trainee(base), trainee(base, seed=5)
    before = places(made), places(other)
    head = copy.deepcopy(made.module.head.state_dict())
    for one in (made, other):
        look(one, silent)
    assert before[0] != before[1]
    assert places(made) == places(other) != before[0]
    assert all(torch.equal(value, head[name]) for name, value in made.module.head.state_dict().items())
    assert all(parameter.grad is None for parameter in made.module.parameters())


def test_other_rows_settle_other_things(llama: BaseModel) -> None:
    made, other = trainee(llama), trainee(llama)
    other.training.targets.copy_(torch.arange(len(TRAINING)) % 2)
    for one in (made, other):
        look(one, silent)
    assert places(made) != places(other)


@pytest.mark.parametrize("adapter", [name for name in TRAINED if name != "sparse"])
def test_kinds_that_need_no_look_take_none(llama: BaseModel, adapter: str) -> None:
    made = trainee(llama, adapter=adapter)
    before = frozen(made.module)
    told: list[str] = []
    look(made, lambda stage, *_: told.append(stage))
    assert (frozen(made.module), told) == (before, [])


def test_looking_tells_how_far_it_is(llama: BaseModel) -> None:
    told: list[tuple[str, int, int]] = []
    look(trainee(llama), lambda stage, done, total, _: told.append((stage, done, total)))
    batches = -(-len(TRAINING) // SETTINGS.batch_size)
    shown = min(batches, kinds.load("adapters", "sparse").LOOKS)
    assert told == [(STAGE, done, 2 * shown) for done in range(2 * shown + 1)]


@pytest.mark.parametrize("adapter", TRAINED)
def test_a_run_of_any_kind_that_was_cut_ends_bit_equal(
    llama: BaseModel, adapter: str, tmp_path: Path
) -> None:
    module, checkpoint = ExpertModule(llama, plan(llama, adapter), SETTINGS.seed), Checkpoint(tmp_path, "run")
    kept: list[Path] = []

    def save(optimizer: torch.optim.Optimizer, state: TrainingState) -> None:
        checkpoint.save(module, optimizer, state)
        kept.append(Path(shutil.copy(checkpoint.path, tmp_path / f"{len(kept)}.safetensors")))

    rows = encoded(llama), split(TRAINING), split(VALIDATION), SETTINGS
    whole = train(module, *rows, save=save, checkpoint_seconds=0.0)
    for cut in (0, 6):
        again = ExpertModule(llama, plan(llama, adapter), seed=77)
        found = Checkpoint(tmp_path, kept[cut].stem)
        state = train(again, *rows, resume=partial(found.load, again))
        assert frozen(again) == frozen(module)
        assert state.history == whole.history
