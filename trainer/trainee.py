"""One expert in training: its rows and their order, its optimiser and schedule, its early stopping.

Batches depend on seed and epoch alone, so a run that was killed goes on from its checkpoint and ends
bit-equal on the CPU.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from registry.errors import InvalidSettingError
from trainer.data import Row
from trainer.encoding import EVALUATION_BATCH, Encoding, by_length, shuffled_by_length
from trainer.experts import ExpertModule
from trainer.settings import TrainingSettings
from trainer.tokens import Batch


@dataclass
class TrainingState:
    """Where a training run stands; what a checkpoint holds.

    Attributes:
        step: steps done in all; epoch and batch follow from it.
        best: parameters of the best epoch so far; best_score: its validation score and
            negative loss; of kinds that write the latter alone.
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
    """Rows of one split: their places in the encoding, what they say, and their targets."""

    rows: list[int]
    data: list[Row]
    targets: Tensor

    @classmethod
    def of(cls, module: ExpertModule, data: Sequence[Row], places: Sequence[int]) -> "Split":
        """Some of the rows of a dataset; the head was prepared before."""
        own = [data[place] for place in places]
        return cls(list(places), own, module.kind.targets(module.head, own, module.architecture.labels))


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


class Trainee:
    """One expert in training: its rows and their order, its optimiser, its early stopping, its checkpoints.

    Args:
        module: trained in place; it ends with the parameters of the best validation epoch.
        resume: puts module and optimiser where a checkpoint left them.
        save: writes one.
    """

    def __init__(
        self,
        module: ExpertModule,
        encoding: Encoding,
        training: Split,
        validation: Split,
        settings: TrainingSettings,
        *,
        resume: Callable[[torch.optim.Optimizer], TrainingState] | None = None,
        save: Callable[[torch.optim.Optimizer, TrainingState], object] = lambda *_: None,
    ) -> None:
        self.module = module
        self.encoding = encoding
        self.training = training
        self.validation = validation
        self.settings = settings
        self.optimizer = _optimizer(module, settings)
        self.state = TrainingState() if resume is None else resume(self.optimizer)
        self.pace = Pace(len(training.rows), settings.batch_size, settings.epochs)
        self._save = save
        self._batches: tuple[int, list[list[int]]] = (-1, [])

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to learn."""
        return self.state.step >= self.pace.steps or self.state.waited >= self.settings.patience

    @property
    def at_epoch_end(self) -> bool:
        """Whether every row was seen equally often."""
        return self.state.step % self.pace.steps_per_epoch == 0

    @property
    def rows_seen(self) -> int:
        """Rows seen so far; all that there are, once it has ended."""
        return self.pace.rows if self.ended else self.pace.rows_seen(self.state.step)

    def next_batch(self) -> list[int]:
        """Places in the training split of the next step's rows."""
        epoch, number = divmod(self.state.step, self.pace.steps_per_epoch)
        return self.batches(epoch)[number]

    def batches(self, epoch: int) -> list[list[int]]:
        """The batches of an epoch, in their order: places in the training split."""
        if self._batches[0] != epoch:
            generator = torch.Generator().manual_seed(self.settings.seed * 100_003 + epoch)
            sizes = [self.encoding.sizes[row] for row in self.training.rows]
            self._batches = epoch, shuffled_by_length(sizes, self.settings.batch_size, generator)
        return self._batches[1]

    def loss(self, final: Tensor, batch: Batch, places: Sequence[int]) -> Tensor:
        """The mean loss over the rows at some places, given their final states and tokens."""
        targets = self.training.targets[list(places)].to(final.device)
        counts = self.encoding.counted([self.training.rows[place] for place in places])
        found: Tensor = self.module.kind.loss(self.module.outputs(final, batch, counts), targets)
        return found

    def learn(self, loss: float) -> None:
        """Take the step whose gradients are there, and measure when it ends an epoch."""
        _schedule(self.optimizer, self.state.step, self.pace.steps, self.settings)
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.settings.clip)
        self.optimizer.step()
        self.state.loss_sum += _finite(loss)
        self.state.step += 1
        if self.at_epoch_end:
            _finish_epoch(self.module, self.encoding, self.validation, self.state, self.pace)

    def save(self) -> None:
        """Write a checkpoint."""
        self._save(self.optimizer, self.state)

    def finish(self) -> None:
        """Go back to the best epoch."""
        self.module.load_state_dict(self.state.best)


def outputs(module: ExpertModule, encoding: Encoding, rows: Sequence[int]) -> Tensor:
    """The expert's outputs for some rows, in their order, `(rows, ...)`, on the CPU.

    Args:
        encoding: its features are those of the layers that the head reads, where it reads early ones.
    """
    if module.architecture.head_layers:
        with torch.no_grad():
            found_early: Tensor = module.head(
                encoding.features[list(rows)].flatten(1).to(encoding.base.device)
            )
        return found_early.cpu()
    sizes = [encoding.sizes[row] for row in rows]
    found: list[Tensor | None] = [None] * len(rows)
    with torch.no_grad():
        visitor = module.visitor()
        for places in by_length(sizes, EVALUATION_BATCH):
            own = [rows[place] for place in places]
            answers = module.outputs(*encoding.final(own, visitor), encoding.counted(own)).cpu()
            for place, answer in zip(places, answers, strict=True):
                found[place] = answer
    return torch.stack([one for one in found if one is not None])


def answers(module: ExpertModule, found: Tensor, data: Sequence[Row]) -> list[str]:
    """What outputs for some rows say."""
    given = module.kind.answers(module.head, found, module.architecture.labels, [row.input for row in data])
    return [one.label for one in given]


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


def _finish_epoch(
    module: ExpertModule, encoding: Encoding, validation: Split, state: TrainingState, pace: Pace
) -> None:
    kind, found = module.kind, outputs(module, encoding, validation.rows)
    kind.settle(module.head, found, validation.data, module.architecture.labels)
    loss = _finite(kind.loss(found, validation.targets).item())
    if kind.WRITES:  # To write an answer to every row would take longer than the epoch.
        metrics, score = kind.fit(found), (-loss, 0.0)
    else:
        metrics = kind.metrics(answers(module, found, validation.data), validation.data)
        score = (metrics[kind.METRIC], -loss)
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
