"""Training on rows of several sequences: as in one batch, in parts that fit, and from kept states."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from registry import Registry
from tests.trainer.samples import QUICK
from tests.trainer.tasks.samples import FILES, write
from trainer import add_task, training
from trainer.base_model import BaseModel
from trainer.encoding import encode
from trainer.experts import ExpertModule, design
from trainer.inputs import Input
from trainer.tokens import Batch
from trainer.trainee import outputs

CHOICES = ("it was warm", "a cloud of rain over the hills", "two coins")
INPUTS = [Input(f"The ice number {n} melted. Why?", choices=CHOICES[: 2 + n % 2]) for n in range(9)]


def module(base: BaseModel) -> ExpertModule:
    architecture = design(
        base,
        task_kind="multiple_choice",
        labels=(),
        adapter="tt_lora",
        preset="default",
        rank=3,
        alpha=None,
        first_layer=2,
        max_length=32,
    )
    made = ExpertModule(base, architecture)
    with torch.no_grad():
        made.head.weight.normal_(generator=torch.Generator().manual_seed(0))  # type: ignore[operator, union-attr]
    return made


def test_features_of_an_input_are_the_mean_over_its_choices(base: BaseModel) -> None:
    found = encode(base, INPUTS, layers=(1, 2), max_length=32, resume_at=2)
    flat = encode(base, [each for one in INPUTS for each in one.sequences], layers=(1, 2), max_length=32)
    start = 0
    for row, one in enumerate(INPUTS):
        own = flat.features[start : start + len(one.choices)]
        assert torch.allclose(found.features[row], own.mean(0), atol=1e-5)
        start += len(one.choices)
    assert found.counts == [len(one.choices) for one in INPUTS]


def test_outputs_of_rows_do_not_depend_on_the_batch_or_on_kept_states(base: BaseModel) -> None:
    made = module(base)
    kept = encode(base, INPUTS, layers=(1, 2), max_length=32, resume_at=2)
    whole = encode(base, INPUTS, layers=(1, 2), max_length=32)
    assert (kept.resume_at, whole.resume_at) == (2, None)
    for rows in ([0, 2, 4], [1, 3], [7]):
        some = outputs(made, kept, rows)
        assert torch.allclose(some, outputs(made, whole, rows), atol=1e-4)
        for place, row in enumerate(rows):
            [alone] = outputs(made, whole, [row])
            assert alone.shape == (len(INPUTS[row].choices),)
            assert torch.allclose(some[place], alone, atol=1e-4)


@pytest.mark.parametrize("most", [1, 8, 1000])
def test_a_batch_in_parts_takes_the_same_step(
    llama: BaseModel, tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of several sequences run in parts of at most so many, whose gradients add up."""
    longest: list[int] = []
    real = training.final_states

    def watched(*given: object) -> tuple[Tensor, Batch]:
        found = real(*given)  # type: ignore[arg-type]
        longest.append(len(found[0]))
        return found

    monkeypatch.setattr(training, "final_states", watched)
    settings = replace(QUICK, epochs=1, batch_size=4)
    with Registry(tmp_path / "one") as registry:
        whole = add_task(registry, write(tmp_path, "multiple_choice"), base_model=llama, settings=settings)
    assert max(longest) == 12
    monkeypatch.setattr(training, "SEQUENCES", most)
    longest.clear()
    with Registry(tmp_path / "two") as registry:
        parts = add_task(registry, write(tmp_path, "multiple_choice"), base_model=llama, settings=settings)
        losses = registry.run(parts.expert.run).history
    with Registry(tmp_path / "one") as registry:
        assert [one["loss"] for one in losses] == pytest.approx(
            [one["loss"] for one in registry.run(whole.expert.run).history], rel=1e-4
        )
    # No part is smaller than a row, and four rows do not always go evenly into parts.
    assert max(longest) < max(most, 4) + 3


def test_an_expert_learns_to_choose(llama: BaseModel, tmp_path: Path) -> None:
    settings = replace(QUICK, epochs=8, learning_rate=1e-2, head_learning_rate=1e-2)
    with Registry(tmp_path / "home") as registry:
        made = add_task(registry, write(tmp_path, "multiple_choice"), base_model=llama, settings=settings)
    assert made.metrics["test"]["accuracy"] > 0.9
    assert sum(made.rows.values()) == len(FILES["multiple_choice"]) - 1
