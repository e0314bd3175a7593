"""Something in training: its rows and their order, its optimiser and schedule, its early stopping.

Batches depend on seed and epoch alone, so a run that was killed goes on from its checkpoint and ends
bit-equal on the CPU.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from registry.errors import InvalidSettingError
from trainer.encoding import Encoding, shuffled_by_length
from trainer.settings import TrainingSettings
from trainer.tokens import Batch
from trainer.visitors import Visitor

Module = TypeVar("Module", bound=nn.Module)


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


@dataclass(frozen=True)
class Epoch:
    """What the validation rows say after an epoch.

    Attributes:
        score: the larger, the better; the second number decides between equals.
    """

    loss: float
    metrics: dict[str, float]
    score: tuple[float, float]


class Learner(Generic[Module]):
    """A module in training: its rows and their order, its optimiser, its early stopping, its checkpoints.

    Args:
        module: trained in place; it ends with the parameters of the best validation epoch.
        rows: places of the training rows in the encoding.
        groups: its parameters by the peak of their learning rate, `peak`.
        resume: puts module and optimiser where a checkpoint left them.
        save: writes one.
    """

    def __init__(
        self,
        module: Module,
        encoding: Encoding,
        rows: Sequence[int],
        groups: list[dict[str, Any]],
        settings: TrainingSettings,
        *,
        resume: Callable[[torch.optim.Optimizer], TrainingState] | None = None,
        save: Callable[[torch.optim.Optimizer, TrainingState], object] = lambda *_: None,
    ) -> None:
        self.module = module
        self.encoding = encoding
        self.rows = list(rows)
        self.settings = settings
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, weight_decay=0.0)
        self.state = TrainingState() if resume is None else resume(self.optimizer)
        self.pace = Pace(len(self.rows), settings.batch_size, settings.epochs)
        self._save = save
        self._batches: tuple[int, list[list[int]]] = (-1, [])

    def visitor(self) -> Visitor:
        """What acts on the batch of one step."""
        raise NotImplementedError

    def loss(self, final: Tensor, batch: Batch, places: Sequence[int]) -> Tensor:
        """The mean loss over the rows at some places, given their final states and tokens."""
        raise NotImplementedError

    def measure(self) -> Epoch:
        """How well the validation rows are answered."""
        raise NotImplementedError

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
            sizes = [self.encoding.sizes[row] for row in self.rows]
            self._batches = epoch, shuffled_by_length(sizes, self.settings.batch_size, generator)
        return self._batches[1]

    def learn(self, loss: float) -> None:
        """Take the step whose gradients are there, and measure when it ends an epoch."""
        _schedule(self.optimizer, self.state.step, self.pace.steps, self.settings)
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.settings.clip)
        self.optimizer.step()
        self.state.loss_sum += finite(loss)
        self.state.step += 1
        if self.at_epoch_end:
            self._finish_epoch()

    def save(self) -> None:
        """Write a checkpoint."""
        self._save(self.optimizer, self.state)

    def finish(self) -> None:
        """Go back to the best epoch."""
        self.module.load_state_dict(self.state.best)

    def _finish_epoch(self) -> None:
        state, found = self.state, self.measure()
        state.history.append(
            {
                "epoch": state.step // self.pace.steps_per_epoch,
                "loss": state.loss_sum / self.pace.steps_per_epoch,
                "validation_loss": found.loss,
                **{f"validation_{name}": value for name, value in found.metrics.items()},
            }
        )
        state.loss_sum = 0.0
        if found.score > state.best_score:
            state.best, state.best_score = copy.deepcopy(self.module.state_dict()), found.score
            state.waited = 0
        else:
            state.waited += 1


def _schedule(optimizer: torch.optim.Optimizer, step: int, total: int, settings: TrainingSettings) -> None:
    rising = max(1, round(settings.warm_up * total))
    factor = (step + 1) / rising if step < rising else (total - step) / max(1, total - rising)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def finite(loss: float) -> float:
    """The loss, if it is a number.

    Raises:
        InvalidSettingError: it is none.
    """
    if not math.isfinite(loss):
        raise InvalidSettingError(f"training diverged, its loss is {loss}: choose a smaller learning rate")
    return loss
