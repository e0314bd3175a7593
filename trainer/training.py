"""Trains one expert: AdamW, warm-up and linear decay, early stopping on validation, the best state kept.

Batches depend on seed and epoch alone, so a run that was killed goes on from its checkpoint and ends
bit-equal on the CPU.
"""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from registry.errors import InvalidSettingError
from trainer import denormals
from trainer.encoding import EVALUATION_BATCH, Encoding, by_length, shuffled_by_length
from trainer.experts import ExpertModule
from trainer.progress import Progress, Stopped, draw, silent
from trainer.settings import TrainingSettings

CHECKPOINT_SECONDS = 30.0


@dataclass
class TrainingState:
    """Where a training run stands; what a checkpoint holds.

    Attributes:
        step: steps done in all; epoch and batch follow from it.
        best: parameters of the best epoch so far; best_score: its validation score and negative loss.
        history: one row an epoch.
    """

    step: int = 0
    loss_sum: float = 0.0
    best: dict[str, Tensor] = field(default_factory=dict)
    best_score: tuple[float, float] = (-math.inf, -math.inf)
    waited: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Split:
    """Rows of one split: their places in the encoding, and their targets."""

    rows: list[int]
    targets: Tensor


@dataclass(frozen=True)
class Pace:
    """How many steps a run takes, and how many rows it has seen after each."""

    rows_per_epoch: int
    batch_size: int
    epochs: int

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every row is seen once."""
        return math.ceil(self.rows_per_epoch / self.batch_size)

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.epochs * self.steps_per_epoch

    @property
    def rows(self) -> int:
        """Rows seen in the whole run."""
        return self.epochs * self.rows_per_epoch

    def rows_seen(self, step: int) -> int:
        """Rows seen in the first `step` steps."""
        epoch, within = divmod(step, self.steps_per_epoch)
        return epoch * self.rows_per_epoch + min(within * self.batch_size, self.rows_per_epoch)


@denormals.flushed()
def train(
    module: ExpertModule,
    encoding: Encoding,
    training: Split,
    validation: Split,
    settings: TrainingSettings,
    *,
    resume: Callable[[torch.optim.Optimizer], TrainingState] | None = None,
    save: Callable[[torch.optim.Optimizer, TrainingState], object] = lambda *_: None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    on_progress: Progress = silent,
) -> TrainingState:
    """Train `module` in place; it ends with the parameters of the best validation epoch.

    Args:
        resume: puts module and optimiser where a checkpoint left them.
        save: writes one, after each epoch, when `checkpoint_seconds` have passed since the last, and when
            `on_progress` raises Stopped.

    Raises:
        InvalidSettingError: the loss is no longer a finite number.
    """
    optimizer = _optimizer(module, settings)
    state = TrainingState() if resume is None else resume(optimizer)
    sizes = [len(encoding.tokens[row].ids) for row in training.rows]
    pace = Pace(len(sizes), settings.batch_size, settings.epochs)
    saved_at = time.monotonic()
    draw(on_progress, state.history)
    while state.step < pace.steps and state.waited < settings.patience:
        epoch, first = divmod(state.step, pace.steps_per_epoch)
        generator = torch.Generator().manual_seed(settings.seed * 100_003 + epoch)
        for places in shuffled_by_length(sizes, settings.batch_size, generator)[first:]:
            _schedule(optimizer, state.step, pace.steps, settings)
            state.loss_sum += _step(module, encoding, training, places, optimizer, settings.clip)
            state.step += 1
            ended = state.step % pace.steps_per_epoch == 0
            if ended:
                _finish_epoch(module, encoding, validation, state, pace)
                draw(on_progress, state.history)
            try:
                on_progress("training", pace.rows_seen(state.step), pace.rows, _note(module, state, pace))
            except Stopped:
                save(optimizer, state)
                raise
            if ended or time.monotonic() - saved_at >= checkpoint_seconds:
                save(optimizer, state)
                saved_at = time.monotonic()
    module.load_state_dict(state.best)
    on_progress("training", pace.rows, pace.rows, _note(module, state, pace))
    return state


def outputs(module: ExpertModule, encoding: Encoding, rows: Sequence[int]) -> Tensor:
    """The expert's outputs for some rows, in their order, `(rows, ...)`, on the CPU."""
    sizes = [len(encoding.tokens[row].ids) for row in rows]
    found: list[Tensor | None] = [None] * len(rows)
    with torch.no_grad():
        visitor = module.visitor()
        for places in by_length(sizes, EVALUATION_BATCH):
            answers = module.outputs(*encoding.final([rows[place] for place in places], visitor)).cpu()
            for place, answer in zip(places, answers, strict=True):
                found[place] = answer
    return torch.stack([one for one in found if one is not None])


def _optimizer(module: ExpertModule, settings: TrainingSettings) -> torch.optim.AdamW:
    groups = [
        {"params": list(module.adapters.parameters()), "peak": settings.learning_rate},
        {"params": list(module.head.parameters()), "peak": settings.head_learning_rate},
    ]
    return torch.optim.AdamW(groups, lr=0.0, weight_decay=0.0)


def _schedule(optimizer: torch.optim.Optimizer, step: int, total: int, settings: TrainingSettings) -> None:
    rising = max(1, round(settings.warm_up * total))
    factor = (step + 1) / rising if step < rising else (total - step) / max(1, total - rising)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def _step(
    module: ExpertModule,
    encoding: Encoding,
    training: Split,
    places: Sequence[int],
    optimizer: torch.optim.Optimizer,
    clip: float,
) -> float:
    final, mask = encoding.final([training.rows[place] for place in places], module.visitor())
    loss: Tensor = module.kind.loss(
        module.outputs(final, mask), training.targets[list(places)].to(final.device)
    )
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(module.parameters(), clip)
    optimizer.step()
    return _finite(loss.item())


def _finish_epoch(
    module: ExpertModule, encoding: Encoding, validation: Split, state: TrainingState, pace: Pace
) -> None:
    found = outputs(module, encoding, validation.rows)
    metrics = module.kind.score(found, validation.targets)
    loss = _finite(module.kind.loss(found, validation.targets).item())
    score = (metrics[module.kind.METRIC], -loss)
    state.history.append(
        {
            "epoch": state.step // pace.steps_per_epoch,
            "loss": state.loss_sum / pace.steps_per_epoch,
            "validation_loss": loss,
            **{f"validation_{name}": value for name, value in metrics.items()},
        }
    )
    state.loss_sum = 0.0
    if score > state.best_score:
        state.best, state.best_score = copy.deepcopy(module.state_dict()), score
        state.waited = 0
    else:
        state.waited += 1


def _finite(loss: float) -> float:
    if not math.isfinite(loss):
        raise InvalidSettingError(f"training diverged, its loss is {loss}: choose a smaller learning rate")
    return loss


def _note(module: ExpertModule, state: TrainingState, pace: Pace) -> str:
    within = state.step % pace.steps_per_epoch
    loss = state.loss_sum / within if within else state.history[-1]["loss"]
    epoch = math.ceil(state.step / pace.steps_per_epoch)
    note = f"epoch {epoch} of {pace.epochs}, loss {loss:.3f}"
    if not state.history:
        return note
    metric = module.kind.METRIC
    return f"{note}, validation {metric} {state.history[-1][f'validation_{metric}']:.3f}"
