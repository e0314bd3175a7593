"""Training one expert: it learns, it repeats itself to the bit, and a run that was cut goes on as before."""

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.numpy import load

from registry import tensors
from registry.errors import DamagedError, InvalidSettingError
from trainer import kinds
from trainer import training as training_module
from trainer.base_model import BaseModel
from trainer.checkpoints import Checkpoint
from trainer.data import Row
from trainer.described import from_json, to_json
from trainer.encoding import Encoding, by_length, encode, shuffled_by_length
from trainer.experts import Architecture, ExpertModule, design
from trainer.forming import Together
from trainer.learner import TrainingState
from trainer.settings import TrainingSettings
from trainer.trainee import Split, Trainee, answers, outputs

LABELS = ("good", "bad")
WORDS = {
    "good": ("quiet triumph", "lovely scene", "second win"),
    "bad": ("dull plot", "wooden cast", "blank page"),
}
ROWS = [
    (f"The {place} had a {word}.", label)
    for place in ("film", "team", "report", "country", "train")
    for label in LABELS
    for word in WORDS[label]
]
TARGETS = torch.tensor([LABELS.index(label) for _, label in ROWS])
TRAINING = [row for row in range(len(ROWS)) if row % 3]
VALIDATION = [row for row in range(len(ROWS)) if row % 3 == 0]
TRAINED = [name for name in kinds.names("adapters") if kinds.load("adapters", name).TARGETS]
SETTINGS = TrainingSettings(epochs=3, batch_size=4, learning_rate=3e-3, head_learning_rate=5e-3)


def split(rows: list[int]) -> Split:
    data = [Row({"text": text, "label": label}, "train") for text, label in ROWS]
    return Split(rows, [data[row] for row in rows], TARGETS[rows])


def plan(base: BaseModel, adapter: str = "tt_lora", first_layer: int = 2) -> Architecture:
    return design(
        base,
        task_kind="classification",
        labels=LABELS,
        adapter=adapter,
        preset="default",
        rank=3,
        alpha=None,
        first_layer=first_layer,
        max_length=32,
    )


def encoded(base: BaseModel, **options: int) -> Encoding:
    return encode(base, [text for text, _ in ROWS], layers=(1, 2), max_length=32, resume_at=2, **options)


def train(
    module: ExpertModule,
    encoding: Encoding,
    training: Split,
    validation: Split,
    settings: TrainingSettings,
    *,
    resume: Callable[[torch.optim.Optimizer], TrainingState] | None = None,
    save: Callable[[torch.optim.Optimizer, TrainingState], object] = lambda *_: None,
    **options: Any,
) -> TrainingState:
    trainee = Trainee(module, encoding, training, validation, settings, resume=resume, save=save)
    return training_module.train(trainee, **options)


def frozen(module: ExpertModule) -> bytes:
    return module.pack({"task": "mood"})


def uninterrupted(base: BaseModel, settings: TrainingSettings = SETTINGS) -> tuple[bytes, TrainingState]:
    module = ExpertModule(base, plan(base), settings.seed)
    state = train(module, encoded(base), split(TRAINING), split(VALIDATION), settings)
    return frozen(module), state


@pytest.mark.parametrize("adapter", TRAINED)
def test_an_expert_learns_a_tiny_set_by_heart(base: BaseModel, adapter: str) -> None:
    module, encoding = ExpertModule(base, plan(base, adapter)), encoded(base)
    everything = split(list(range(len(ROWS))))
    settings = TrainingSettings(
        epochs=40, batch_size=8, learning_rate=1e-2, head_learning_rate=1e-2, patience=40
    )
    state = train(module, encoding, everything, everything, settings)
    said = answers(module, outputs(module, encoding, everything.rows), everything.data)
    assert module.kind.metrics(said, everything.data) == {"accuracy": 1.0}
    assert state.history[-1]["loss"] < state.history[0]["loss"] / 2


def test_an_untrained_expert_answers_nothing_in_particular(base: BaseModel) -> None:
    found = outputs(ExpertModule(base, plan(base)), encoded(base), [0, 1, 2])
    assert torch.equal(found, torch.zeros(3, 2))


def test_the_same_seed_gives_the_same_bytes_whatever_ran_before(llama: BaseModel) -> None:
    torch.manual_seed(1)
    first, history = uninterrupted(llama)
    torch.manual_seed(2)
    again, same_history = uninterrupted(llama)
    other, _ = uninterrupted(llama, TrainingSettings(**{**asdict(SETTINGS), "seed": 1}))
    assert again == first
    assert same_history.history == history.history
    assert other != first


def test_it_ends_with_the_best_epoch_and_stops_when_nothing_improves(llama: BaseModel) -> None:
    settings = TrainingSettings(
        epochs=60, batch_size=8, learning_rate=1e-2, head_learning_rate=1e-2, patience=2
    )
    module, encoding = ExpertModule(llama, plan(llama)), encoded(llama)
    state = train(module, encoding, split(TRAINING), split(VALIDATION), settings)
    scores = [(row["validation_accuracy"], -row["validation_loss"]) for row in state.history]
    assert scores.index(max(scores)) == len(scores) - 3 < 57
    found = outputs(module, encoding, VALIDATION)
    assert module.kind.loss(found, TARGETS[VALIDATION]).item() == -max(scores)[1]
    assert [row["epoch"] for row in state.history] == list(range(1, len(scores) + 1))


@pytest.fixture(scope="module")
def checkpoints(llama: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Those of each step and of each epoch's end of one run."""
    folder, kept = tmp_path_factory.mktemp("checkpoints"), list[Path]()
    module, checkpoint = ExpertModule(llama, plan(llama), SETTINGS.seed), Checkpoint(folder, "run")

    def save(optimizer: torch.optim.Optimizer, state: TrainingState) -> None:
        checkpoint.save(module, optimizer, state)
        kept.append(Path(shutil.copy(checkpoint.path, folder / f"{len(kept)}.safetensors")))

    train(
        module,
        encoded(llama),
        split(TRAINING),
        split(VALIDATION),
        SETTINGS,
        save=save,
        checkpoint_seconds=0.0,
    )
    return kept


def resumed(base: BaseModel, checkpoint: Path) -> tuple[bytes, TrainingState]:
    # Another seed: everything that matters must come from the checkpoint.
    module = ExpertModule(base, plan(base), seed=77)
    found = Checkpoint(checkpoint.parent, checkpoint.stem)
    state = train(
        module,
        encoded(base),
        split(TRAINING),
        split(VALIDATION),
        SETTINGS,
        resume=lambda optimizer: found.load(module, optimizer),
    )
    return frozen(module), state


def test_a_run_cut_after_any_step_ends_bit_equal(llama: BaseModel, checkpoints: list[Path]) -> None:
    whole, state = uninterrupted(llama)
    assert len(checkpoints) == 15
    for cut in (0, 3, 4, 5, 8, 13, 14):
        content, finished = resumed(llama, checkpoints[cut])
        assert content == whole, f"cut after step {cut + 1}"
        assert finished.history == state.history


def test_checkpoints_are_safetensors_without_a_pickle_in_them(checkpoints: list[Path]) -> None:
    for path in checkpoints[::7]:
        assert any(name.startswith("moment.") for name in load(path.read_bytes()))
    assert {path.suffix for path in checkpoints[0].parent.iterdir()} == {".safetensors"}


@pytest.mark.parametrize("damage", ["cut short", "one bit flipped", "empty", "a pickle"])
def test_a_damaged_checkpoint_starts_over(
    llama: BaseModel, checkpoints: list[Path], tmp_path: Path, damage: str
) -> None:
    path, content = tmp_path / "damaged.safetensors", checkpoints[6].read_bytes()
    middle = len(content) - 4 * 40
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    harmed = {
        "cut short": content[:-9],
        "one bit flipped": flipped,
        "empty": b"",
        "a pickle": b"\x80\x05K\x01.",
    }
    path.write_bytes(harmed[damage])
    module = ExpertModule(llama, plan(llama), SETTINGS.seed)
    untouched = frozen(module)
    state = Checkpoint(tmp_path, path.stem).load(module, torch.optim.AdamW(module.parameters()))
    assert state == TrainingState()
    assert frozen(module) == untouched


def test_a_run_that_ended_leaves_no_checkpoint(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, "run")
    checkpoint.path.write_bytes(b"")
    checkpoint.remove()
    checkpoint.remove()
    assert not checkpoint.path.exists()


def test_training_is_the_same_when_the_states_do_not_fit_in_memory(base: BaseModel) -> None:
    found = []
    for encoding in (encoded(base), encoded(base, state_budget=0)):
        module = ExpertModule(base, plan(base), SETTINGS.seed)
        state = train(module, encoding, split(TRAINING), split(VALIDATION), SETTINGS)
        losses = torch.tensor([row["loss"] for row in state.history])
        found.append((encoding.resume_at, losses, outputs(module, encoding, VALIDATION), encoding.features))
    kept, computed_again = found
    assert (kept[0], computed_again[0]) == (2, None)
    for left, right in zip(kept[1:], computed_again[1:], strict=True):
        assert torch.allclose(left, right, rtol=0, atol=1e-5)


def test_outputs_do_not_depend_on_company_or_order(llama: BaseModel) -> None:
    module, encoding = ExpertModule(llama, plan(llama)), encoded(llama)
    train(module, encoding, split(TRAINING), split(VALIDATION), SETTINGS)
    together = outputs(module, encoding, range(len(ROWS)))
    assert torch.allclose(outputs(module, encoding, [7, 3, 7]), together[[7, 3, 7]], atol=1e-5)


def test_a_rate_that_makes_training_diverge_is_refused(llama: BaseModel) -> None:
    settings = TrainingSettings(epochs=3, batch_size=4, learning_rate=1e10, head_learning_rate=1e10)
    module = ExpertModule(llama, plan(llama))
    with pytest.raises(
        InvalidSettingError, match=r"training diverged, its loss is .*: choose a smaller learning rate"
    ):
        train(module, encoded(llama), split(TRAINING), split(VALIDATION), settings)


def test_bytes_of_an_expert_hold_what_it_is(llama: BaseModel) -> None:
    module = ExpertModule(llama, plan(llama), seed=3)
    values, about = tensors.unpack(frozen(module))
    twin = ExpertModule(llama, plan(llama), frozen={name: torch.tensor(one) for name, one in values.items()})
    assert frozen(twin) == frozen(module)
    assert about == {"architecture": to_json(plan(llama)), "task": "mood"}
    assert from_json(Architecture, about["architecture"]) == plan(llama)
    assert sum(value.size for value in values.values()) == module.parameter_count


@pytest.mark.parametrize("values", [{}, {"rank": 5}, {"labels": 1, "unknown": 2}, [], None])
def test_a_description_of_something_else_is_damage(values: Any) -> None:
    with pytest.raises(DamagedError, match="What is stored is no Architecture "):
        from_json(Architecture, values)


def test_batches_hold_every_row_once_and_rows_of_like_length() -> None:
    sizes = [7, 3, 9, 3, 5, 1, 8, 2, 6]
    batches = shuffled_by_length(sizes, 2, torch.Generator().manual_seed(0))
    assert sorted(row for batch in batches for row in batch) == list(range(9))
    assert sorted(len(batch) for batch in batches) == [1, 2, 2, 2, 2]
    assert list(by_length(sizes, 4)) == [[2, 6, 0, 8], [4, 1, 3, 7], [5]]
    assert list(by_length([], 4)) == []


@pytest.mark.parametrize("first_layer", [0, 4, -1])
def test_experts_must_leave_a_layer_to_route_by_and_one_to_act_in(llama: BaseModel, first_layer: int) -> None:
    with pytest.raises(
        InvalidSettingError, match=rf"first layer {first_layer} does not fit .*: choose 1 to 3"
    ):
        plan(llama, first_layer=first_layer)


class Drawing:
    """A reporter that keeps what it is told and drawn."""

    def __init__(self) -> None:
        self.curves: list[list[int]] = []
        self.steps: list[int] = []

    def draw(self, curve: list[dict[str, Any]]) -> None:
        self.curves.append([point["epoch"] for point in curve])

    def __call__(self, stage: str, done: int, total: int, note: str) -> None:
        self.steps.append(done)


def test_a_reporter_that_draws_is_given_the_curve_after_each_epoch(llama: BaseModel) -> None:
    drawing = Drawing()
    state = train(
        ExpertModule(llama, plan(llama), 0),
        encoded(llama),
        split(TRAINING),
        split(VALIDATION),
        SETTINGS,
        on_progress=drawing,
    )
    assert drawing.curves == [list(range(1, count + 1)) for count in range(len(state.history) + 1)]
    assert drawing.steps[-1] == len(TRAINING) * SETTINGS.epochs


@pytest.mark.parametrize("adapter", TRAINED)
def test_experts_formed_together_act_as_each_alone_and_so_do_their_gradients(
    llama: BaseModel, adapter: str
) -> None:
    modules = [ExpertModule(llama, plan(llama, adapter), seed) for seed in range(2)]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in (parameter for module in modules for parameter in module.parameters()):
            parameter.normal_(generator=generator)
    parameters = [parameter for module in modules for parameter in module.adapters.parameters()]
    batch = llama.batch(llama.tokenize([text for text, _ in ROWS[:5]], 32))
    together = llama.forward(batch, Together(modules, [2, 3]))
    first, second = (llama.forward(batch, module.visitor()) for module in modules)
    apart = torch.cat([first[:2], second[2:]])
    kept = batch.mask.bool()
    assert torch.allclose(together[kept], apart[kept], rtol=1e-3, atol=1e-3)
    for left, right in zip(
        torch.autograd.grad(together[kept].square().sum(), parameters),
        torch.autograd.grad(apart[kept].square().sum(), parameters),
        strict=True,
    ):
        assert torch.allclose(left, right, rtol=1e-2, atol=1e-3 * right.abs().max().item())
