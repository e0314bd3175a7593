"""What an untrained expert is shown of its rows, where its adapters want to settle something by them: the
loss's gradient of every linear layer that they attach to.

The head of an untrained expert is zero, and nothing below a head of zeros has a gradient. So the head learns
a little first, from the bare base model's states of the same rows, and is put back afterwards.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainer.base_model import BaseModel
from trainer.layouts import Layout, config_of, family_of
from trainer.progress import Progress
from trainer.trainee import Trainee
from trainer.visitors import Visitor

HEAD_STEPS = 100
"""Steps that the head learns for: seen from it, the rows differ by then, and it is not sure of any."""
STAGE = "looking at the first rows"


class Felt(Visitor):
    """Adds a matrix of zeros to the linear layers of an expert, whose gradient is that of their weights.

    Attributes:
        zeros: by layer and full name inside it, `(inputs, outputs)`.
    """

    def __init__(self, layouts: Sequence[Layout], device: torch.device) -> None:
        self.zeros = {
            (layout.first + place, layout.module): torch.zeros(
                layout.inputs, layout.outputs, device=device, requires_grad=True
            )
            for layout in layouts
            for place in range(layout.layers)
        }

    def adapt(self, layer: int, module: str, x: Tensor, output: Tensor) -> Tensor | None:
        """The same output, by way of the zeros."""
        zeros = self.zeros.get((layer, module))
        return None if zeros is None else output + x @ zeros

    def gradient(self, layout: Layout) -> Tensor:
        """Of the layers of a layout, `(layers, inputs, outputs)`."""
        own = [self.zeros[layout.first + place, layout.module] for place in range(layout.layers)]
        return torch.stack([torch.zeros_like(one) if one.grad is None else one.grad for one in own])


def look(trainee: Trainee, on_progress: Progress) -> None:
    """Settle what an untrained expert's adapters want to see rows for.

    What they are shown depends on rows and seed alone; a run that goes on has looked before.
    """
    architecture = trainee.module.architecture
    family = family_of(architecture)
    if not family.LOOKS or trainee.state.step:
        return
    batches = trainee.batches(0)[: family.LOOKS]
    felt = _gradients(trainee, batches, on_progress)
    values, base = trainee.module.values(), trainee.encoding.base
    with torch.no_grad():
        for layout in trainee.module.layouts:
            own = {name: values[layout.file_name(name)] for name in layout.values}
            chosen = family.choose(
                config_of(architecture), own, _weights(base, layout), felt.gradient(layout)
            )
            for name, value in own.items():
                value.copy_(chosen[name])


def _gradients(trainee: Trainee, batches: Sequence[list[int]], on_progress: Progress) -> Felt:
    """The sum of the gradients of these batches, with a head that has learned a little."""
    head, encoding = trainee.module.head, trainee.encoding
    felt = Felt(trainee.module.layouts, encoding.base.device)
    untouched = copy.deepcopy(head.state_dict())
    _teach(trainee, head, batches, on_progress)
    for number, batch in enumerate(batches):
        on_progress(STAGE, len(batches) + number, 2 * len(batches), "")
        trainee.loss(*encoding.final(_rows(trainee, batch), felt), batch).backward()
    on_progress(STAGE, 2 * len(batches), 2 * len(batches), "")
    head.load_state_dict(untouched)
    head.zero_grad(set_to_none=True)
    return felt


def _teach(trainee: Trainee, head: nn.Module, batches: Sequence[list[int]], on_progress: Progress) -> None:
    finals = []
    with torch.no_grad():
        for number, batch in enumerate(batches):
            on_progress(STAGE, number, 2 * len(batches), "")
            finals.append(trainee.encoding.final(_rows(trainee, batch)))
    if not [*head.parameters()]:
        return
    optimizer = torch.optim.AdamW(head.parameters(), lr=trainee.settings.head_learning_rate, weight_decay=0.0)
    for step in range(HEAD_STEPS):
        number = step % len(batches)
        optimizer.zero_grad(set_to_none=True)
        trainee.loss(*finals[number], batches[number]).backward()
        optimizer.step()


def _rows(trainee: Trainee, places: Sequence[int]) -> list[int]:
    return [trainee.training.rows[place] for place in places]


def _weights(base: BaseModel, layout: Layout) -> Tensor:
    """Of the layers of a layout, `(layers, inputs, outputs)`."""
    return torch.stack([base.weight(layout.first + place, layout.module) for place in range(layout.layers)])
