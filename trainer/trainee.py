"""One expert in training: what it learns from, and how well it does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.data import Row
from trainer.encoding import EVALUATION_BATCH, Encoding, by_length
from trainer.experts import ExpertModule
from trainer.learner import Epoch, Learner, TrainingState, finite
from trainer.settings import TrainingSettings
from trainer.tokens import Batch
from trainer.visitors import Visitor, Watching


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


class Trainee(Learner[ExpertModule]):
    """One expert in training; see `Learner`."""

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
        groups = [
            {"params": list(module.adapters.parameters()), "peak": settings.learning_rate},
            {"params": list(module.head.parameters()), "peak": settings.head_learning_rate},
        ]
        super().__init__(module, encoding, training.rows, groups, settings, resume=resume, save=save)
        self.training = training
        self.validation = validation

    def visitor(self) -> Visitor:
        """The expert."""
        return self.module.visitor()

    def loss(self, final: Tensor, batch: Batch, places: Sequence[int]) -> Tensor:
        """The mean loss over the rows at some places, given their final states and tokens."""
        targets = self.training.targets[list(places)].to(final.device)
        counts = self.encoding.counted([self.rows[place] for place in places])
        found: Tensor = self.module.kind.loss(self.module.outputs(final, batch, counts), targets)
        return found

    def measure(self) -> Epoch:
        """How well the validation rows are answered; of kinds that write, the loss alone."""
        module, validation = self.module, self.validation
        kind, found = module.kind, outputs(module, self.encoding, validation.rows)
        kind.settle(module.head, found, validation.data, module.architecture.labels)
        loss = finite(kind.loss(found, validation.targets).item())
        if kind.WRITES:  # To write an answer to every row would take longer than the epoch.
            return Epoch(loss, kind.fit(found), (-loss, 0.0))
        metrics = kind.metrics(answers(module, found, validation.data), validation.data)
        return Epoch(loss, metrics, (metrics[kind.METRIC], -loss))


def outputs(module: ExpertModule, encoding: Encoding, rows: Sequence[int]) -> Tensor:
    """The expert's outputs for some rows, in their order, `(rows, ...)`, on the CPU.

    Args:
        encoding: its features are those of the layers that the head reads, where nothing acts on them.
    """
    if module.architecture.reads_features:
        with torch.no_grad():
            found_early: Tensor = module.head(
                encoding.features[list(rows)].flatten(1).to(encoding.base.device)
            )
        return found_early.cpu()
    sizes = [encoding.sizes[row] for row in rows]
    found: list[Tensor | None] = [None] * len(rows)
    with torch.no_grad():
        watching = Watching(module.architecture.head_layers, module.visitor())
        for places in by_length(sizes, EVALUATION_BATCH):
            own = [rows[place] for place in places]
            final, batch = encoding.final(own, watching)
            answers = module.outputs(final, batch, encoding.counted(own), watching.states).cpu()
            for place, answer in zip(places, answers, strict=True):
                found[place] = answer
    return torch.stack([one for one in found if one is not None])


def answers(module: ExpertModule, found: Tensor, data: Sequence[Row]) -> list[str]:
    """What outputs for some rows say."""
    given = module.kind.answers(module.head, found, module.architecture.labels, [row.input for row in data])
    return [one.label for one in given]
