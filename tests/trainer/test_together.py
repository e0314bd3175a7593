"""Several experts in one batch: each learns what it would learn alone, from its rows in the same order."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from registry.errors import InvalidSettingError
from tests.trainer.samples import TASKS
from trainer.adapters import tt_lora
from trainer.base_model import BaseModel
from trainer.checkpoints import Checkpoint
from trainer.data import Row
from trainer.encoding import Encoding, encode
from trainer.experts import ExpertModule, design
from trainer.progress import Stopped
from trainer.settings import TrainingSettings
from trainer.trainee import Split, Trainee, outputs
from trainer.training import train, train_together

SETTINGS = TrainingSettings(epochs=3, batch_size=8, learning_rate=3e-3, head_learning_rate=5e-3, patience=2)
NAMES = ("mood", "question")


class Recorded(Trainee):
    """Writes down which rows it is given."""

    seen: list[list[int]]

    def next_batch(self) -> list[int]:
        batch = super().next_batch()
        self.seen.append(batch)
        return batch


def encoded(base: BaseModel, task: str) -> Encoding:
    texts = [row[0] for row in TASKS[task][0]]
    return encode(base, texts, layers=(2,), max_length=32, resume_at=2)


def trainee(
    base: BaseModel,
    task: str,
    settings: TrainingSettings = SETTINGS,
    encoding: Encoding | None = None,
    **options: Any,
) -> Recorded:
    rows = TASKS[task][0]
    labels = tuple(sorted({row[-1] for row in rows}))
    architecture = design(
        base,
        task_kind="classification",
        labels=labels,
        adapter="tt_lora",
        preset="default",
        rank=3,
        alpha=None,
        first_layer=2,
        max_length=32,
    )
    data = [Row({"text": row[0], "label": row[-1]}, "train") for row in rows]
    training = [place for place in range(len(rows)) if place % 3]
    validation = [place for place in range(len(rows)) if place % 3 == 0]
    module = ExpertModule(base, architecture, settings.seed)
    made = Recorded(
        module,
        encoding or encoded(base, task),
        Split.of(module, data, training),
        Split.of(module, data, validation),
        settings,
        **options,
    )
    made.seen = []
    return made


DIFFERENT = {"mood": SETTINGS, "question": replace(SETTINGS, seed=5, epochs=2, batch_size=12)}


def values(one: Trainee) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in one.module.state_dict().items()}


def test_each_sees_its_rows_in_the_order_of_training_alone_and_ends_as_it_would_alone(
    base: BaseModel,
) -> None:
    together = [trainee(base, task, settings) for task, settings in DIFFERENT.items()]
    train_together(together)
    for one, (task, settings) in zip(together, DIFFERENT.items(), strict=True):
        alone = trainee(base, task, settings)
        train(alone)
        assert one.seen == alone.seen
        assert [row["epoch"] for row in one.state.history] == [row["epoch"] for row in alone.state.history]
        for here, there in zip(one.state.history, alone.state.history, strict=True):
            assert here == pytest.approx(there, rel=1e-3)
        for name, value in values(one).items():
            assert torch.allclose(value, values(alone)[name], atol=2e-3), name
        found, wanted = (outputs(run.module, run.encoding, run.validation.rows) for run in (one, alone))
        assert torch.allclose(found, wanted, atol=2e-3)


def test_one_that_has_stopped_learning_leaves_the_others_to_go_on(llama: BaseModel) -> None:
    hopeless = replace(SETTINGS, learning_rate=1e-12, head_learning_rate=1e-12, patience=1, epochs=6)
    still, learning = (
        trainee(llama, "mood", hopeless),
        trainee(llama, "question", replace(SETTINGS, epochs=6)),
    )
    steps: list[tuple[int, int, str]] = []
    train_together(
        [still, learning], on_progress=lambda _stage, done, total, note: steps.append((done, total, note))
    )
    assert len(still.seen) < still.pace.steps
    assert len(learning.seen) == learning.state.step > len(still.seen)
    done = [one for one, _, _ in steps]
    assert done == sorted(done)
    assert steps[-1] == (
        still.pace.rows + learning.pace.rows,
        still.pace.rows + learning.pace.rows,
        "2 experts together, 0 of them not done yet",
    )


def test_several_that_were_stopped_go_on_from_their_checkpoints_and_end_bit_equal(
    llama: BaseModel, tmp_path: Path
) -> None:
    whole = [trainee(llama, task) for task in NAMES]
    train_together(whole)

    def resumable(task: str) -> Recorded:
        checkpoint, made = Checkpoint(tmp_path, task), list[Recorded]()
        made.append(
            trainee(
                llama,
                task,
                save=lambda optimizer, state: checkpoint.save(made[0].module, optimizer, state),
            )
        )
        made[0].state = checkpoint.load(made[0].module, made[0].optimizer)
        return made[0]

    def stop(_stage: str, done: int, _total: int, _note: str) -> None:
        if done >= 80:
            raise Stopped

    with pytest.raises(Stopped):
        train_together([resumable(task) for task in NAMES], on_progress=stop)
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(NAMES)
    again = [resumable(task) for task in NAMES]
    assert all(one.state.step for one in again)
    train_together(again)
    for one, other in zip(again, whole, strict=True):
        assert one.seen == other.seen[-len(one.seen) :] != other.seen
        assert one.state.history == other.state.history
        for name, value in values(one).items():
            assert torch.equal(value, values(other)[name]), name


def short_of_memory(one: Trainee, rows: int) -> list[int]:
    """A machine on which the head has room for so many rows while it learns; how many it was given."""
    given: list[int] = []

    def refuse(_module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        if torch.is_grad_enabled():
            given.append(len(args[0]))
            if len(args[0]) > rows:
                raise torch.OutOfMemoryError("out of memory")

    one.module.head.register_forward_pre_hook(refuse)
    return given


@pytest.mark.parametrize("tasks", [("mood",), NAMES])
def test_a_batch_that_memory_cannot_hold_is_halved_until_it_can(llama: BaseModel, tasks: list[str]) -> None:
    once = replace(SETTINGS, epochs=1)
    plenty, short = ([trainee(llama, task, once) for task in tasks] for _ in range(2))
    given = [short_of_memory(one, 3) for one in short]
    train_together(plenty)
    train_together(short)
    assert given[0][:6] == [8, 4, 2, 2, 2, 2]
    assert max(given[0][2:]) <= 3
    for one, other in zip(short, plenty, strict=True):
        for name, value in values(one).items():
            assert torch.allclose(value, values(other)[name], atol=2e-3), name


def test_a_batch_of_which_not_even_one_row_fits_is_an_error(llama: BaseModel) -> None:
    one = trainee(llama, "mood")
    given = short_of_memory(one, 0)
    with pytest.raises(torch.OutOfMemoryError):
        train(one)
    assert given == [8, 4, 2, 1]


def test_one_that_diverges_is_refused(llama: BaseModel) -> None:
    wild = replace(SETTINGS, learning_rate=1e10, head_learning_rate=1e10)
    with pytest.raises(InvalidSettingError, match="training diverged, its loss is"):
        train_together([trainee(llama, "mood"), trainee(llama, "question", wild)])


def test_training_in_half_precision_learns_and_leaves_parameters_in_full(
    llama: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SETTINGS, learning_rate=1e-2)
    full = trainee(llama, "question", settings)
    train(full)
    monkeypatch.setattr(llama, "dtype", torch.bfloat16)
    half = trainee(llama, "question", settings)
    train(half)
    assert {value.dtype for value in half.module.state_dict().values()} == {torch.float32}
    assert half.state.history[-1]["loss"] == pytest.approx(full.state.history[-1]["loss"], abs=0.1)
    assert half.state.history[0]["loss"] != full.state.history[0]["loss"]


@pytest.mark.parametrize("together", [False, True])
def test_what_adapters_run_with_is_formed_once_a_step(
    llama: BaseModel, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    formed: list[str] = []
    parts = tt_lora.parts

    def counted(config: Any, inputs: int, outputs: int, values: Any) -> Any:
        if torch.is_grad_enabled():
            formed.append(f"{inputs} -> {outputs}")
        return parts(config, inputs, outputs, values)

    trainees = [trainee(llama, task) for task in (NAMES if together else NAMES[:1])]
    monkeypatch.setattr(tt_lora, "parts", counted)
    train_together(trainees)
    steps = max(one.state.step for one in trainees)
    assert sorted(formed) == ["48 -> 24"] * steps + ["48 -> 48"] * steps
