"""Several experts and the gate that weighs them for each token, in training: what they learn, and how well
they do.

Each row is a lesson of one of two sorts: its target is written, and the loss is the surprise of its tokens;
or the head of one of the experts answers it, and the loss is that of the expert's kind. Either way all
experts mix in every token.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trainer.data import Row
from trainer.encoding import EVALUATION_BATCH, Encoding, by_length
from trainer.experts import Alone, ExpertModule
from trainer.gating import Gate, Shares
from trainer.learner import Epoch, Learner, finite
from trainer.lessons import Lessons
from trainer.settings import TrainingSettings
from trainer.tasks import text_generation
from trainer.tokens import Batch
from trainer.visitors import Visitor


class Mixing(Visitor):
    """Adds the updates of all experts to each token, by its shares.

    Attributes:
        shares: what the gate says.
    """

    def __init__(self, gate: Gate, members: Sequence[Alone]) -> None:
        self.shares, self._members = Shares(gate), members

    def enter(self, layer: int, hidden: Tensor) -> None:
        """Ask the gate."""
        self.shares.enter(layer, hidden)

    def adapt(self, layer: int, module: str, x: Tensor, output: Tensor) -> Tensor | None:
        """The output with all updates, each measured against what came out of the layer."""
        found = output
        for slot, member in enumerate(self._members):
            parts = member.parts.get((layer, module))
            if parts is None:
                continue
            own = output if torch.is_grad_enabled() else output.clone()
            update = member.form.apply(x, own, parts) - output
            found = found + self.shares.weights[..., slot, None].to(output.dtype) * update
        return None if found is output else found


class Mixture(nn.Module):
    """Experts, and the gate over them.

    Attributes:
        members: in slot order; router: of a gate kind; layers: those that it reads.

    Args:
        frozen: the gate alone learns.
    """

    def __init__(
        self, members: Sequence[ExpertModule], router: nn.Module, layers: Sequence[int], *, frozen: bool
    ) -> None:
        super().__init__()
        self.members, self.frozen = list(members), frozen
        self.router, self.layers = router, tuple(layers)
        self._fixed = [member.visitor() for member in members] if frozen else None
        if not frozen:
            self.learning = nn.ModuleList(members).requires_grad_(True)
            for parameter in self.learning.parameters():
                parameter.data = parameter.data.clone()  # Not the bytes of the frozen ones.

    def visitor(self) -> Mixing:
        """The mixture at work."""
        own = self._fixed or [member.visitor() for member in self.members]
        return Mixing(Gate(self.router, self.layers), own)


class MixtureTrainee(Learner[Mixture]):
    """A mixture in training.

    Args:
        balance: weight of the loss of uneven use beside that of the rows; adapter_rates: peak rate of each
            member's adapters; `settings.learning_rate` is the gate's.
    """

    def __init__(
        self,
        mixture: Mixture,
        encoding: Encoding,
        lessons: Lessons,
        settings: TrainingSettings,
        *,
        balance: float,
        adapter_rates: Sequence[float],
        **checkpoint: Any,
    ) -> None:
        groups = [{"params": list(mixture.router.parameters()), "peak": settings.learning_rate}]
        if not mixture.frozen:
            for member, rate in zip(mixture.members, adapter_rates, strict=True):
                heads = {"params": list(member.head.parameters()), "peak": settings.head_learning_rate}
                groups += [{"params": list(member.adapters.parameters()), "peak": rate}, heads]
        super().__init__(mixture, encoding, lessons.places("train"), groups, settings, **checkpoint)
        self.lessons, self.balance = lessons, balance
        self._acting = mixture.visitor()

    def visitor(self) -> Visitor:
        """The mixture, watched for how evenly it uses its experts."""
        self._acting = self.module.visitor()
        return self._acting

    def loss(self, final: Tensor, batch: Batch, places: Sequence[int]) -> Tensor:
        """The mean loss over the rows at some places, and that of uneven use."""
        router: Any = self.module.router
        uneven = [router.balance(one, batch.mask) for one in self._acting.shares.routings]
        total = self.balance * torch.stack(uneven).mean()
        rows = [self.rows[place] for place in places]
        for owner, own in self.lessons.by_owner(rows).items():
            outputs = outputs_of(self.module, self.encoding, owner, final[own], batch.take(own))
            share = loss_of(self.module, owner, outputs, [self.lessons.rows[rows[one]] for one in own])
            total = total + len(own) / len(rows) * share
        return total

    def measure(self) -> Epoch:
        """How well the validation rows are answered: by the loss where some are written."""
        places = self.lessons.places("validation")
        found = outputs(self.module, self.encoding, self.lessons, places)
        if not self.module.frozen:
            _settle(self.module, self.lessons, places, found)
        return judged(self.module, self.lessons, places, found)


def outputs_of(
    mixture: Mixture, encoding: Encoding, owner: int | None, final: Tensor, batch: Batch
) -> Tensor:
    """What one owner makes of the final states of some rows."""
    if owner is None:
        return encoding.base.words.surprises(nn.Identity(), final, batch)
    return mixture.members[owner].outputs(final, batch, [1] * len(final))


def loss_of(mixture: Mixture, owner: int | None, outputs: Tensor, rows: Sequence[Row]) -> Tensor:
    """The mean loss over rows of one owner."""
    if owner is None:
        return text_generation.loss(outputs, outputs)
    member = mixture.members[owner]
    targets = member.kind.targets(member.head, rows, member.architecture.labels)
    found: Tensor = member.kind.loss(outputs, targets.to(outputs.device))
    return found


@torch.no_grad()
def outputs(
    mixture: Mixture, encoding: Encoding, lessons: Lessons, places: Sequence[int]
) -> dict[int | None, Tensor]:
    """By owner, the outputs for those of some rows that are its, in their order, on the CPU."""
    sizes = [encoding.sizes[place] for place in places]
    found: dict[int, Tensor] = {}
    visitor = mixture.visitor()
    for numbers in by_length(sizes, EVALUATION_BATCH):
        rows = [places[number] for number in numbers]
        final, batch = encoding.final(rows, visitor)
        for owner, own in lessons.by_owner(rows).items():
            said = outputs_of(mixture, encoding, owner, final[own], batch.take(own)).cpu()
            found |= zip([numbers[one] for one in own], said, strict=True)
    return {
        owner: torch.stack([found[number] for number in own])
        for owner, own in lessons.by_owner(places).items()
    }


def judged(
    mixture: Mixture, lessons: Lessons, places: Sequence[int], found: dict[int | None, Tensor]
) -> Epoch:
    """Loss and scores of some rows: `perplexity` of those that are written, `accuracy`, the mean credit, of
    the others."""
    loss, metrics, credits = 0.0, dict[str, float](), list[float]()
    for owner, own in lessons.by_owner(places).items():
        rows = [lessons.rows[places[number]] for number in own]
        loss += len(own) / len(places) * loss_of(mixture, owner, found[owner], rows).item()
        if owner is None:
            metrics |= text_generation.fit(found[owner])
            continue
        member = mixture.members[owner]
        inputs = [row.input for row in rows]
        said = member.kind.answers(member.head, found[owner], member.architecture.labels, inputs)
        credits += member.kind.credits([one.label for one in said], rows)
    if credits:
        metrics["accuracy"] = sum(credits) / len(credits)
    loss = finite(loss)
    written = len(credits) < len(places)
    return Epoch(loss, metrics, (-loss, 0.0) if written else (metrics["accuracy"], -loss))


def _settle(
    mixture: Mixture, lessons: Lessons, places: Sequence[int], found: dict[int | None, Tensor]
) -> None:
    """Let heads choose what they choose on validation rows."""
    for owner, own in lessons.by_owner(places).items():
        if owner is not None:
            member, rows = mixture.members[owner], [lessons.rows[places[number]] for number in own]
            member.kind.settle(member.head, found[owner], rows, member.architecture.labels)
