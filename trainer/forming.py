"""Several experts of one design in one batch, while they are trained."""

from collections.abc import Sequence

import torch
from torch import Tensor

from trainer.experts import ExpertModule
from trainer.layouts import form_of, form_parts
from trainer.visitors import Visitor


class Together(Visitor):
    """Each row with its own expert. What the adapters run with is formed for all experts and layers at once.

    Args:
        modules: the experts, alike but for their labels.
        counts: how many sequences of the batch are each one's, in their order.
    """

    def __init__(self, modules: Sequence[ExpertModule], counts: Sequence[int]) -> None:
        first = modules[0]
        self._form = form_of(first.architecture)
        own = [module.values() for module in modules]
        values = {name: torch.stack([one[name] for one in own]) for name in own[0]}
        # By linear layer, with axes (experts, layers, ...).
        self._layouts = {layout.module: layout for layout in first.layouts}
        self._parts = {
            layout.module: form_parts(first.architecture, layout, values) for layout in first.layouts
        }
        device = next(first.parameters()).device
        self._slots = torch.repeat_interleave(torch.arange(len(modules)), torch.tensor(counts)).to(device)

    def adapt(self, layer: int, module: str, x: Tensor, output: Tensor) -> Tensor | None:
        """The output with each row's update; None where experts have none."""
        layout = self._layouts.get(module)
        if layout is None or layer < layout.first:
            return None
        parts = self._parts[module]
        return self._form.apply(
            x, output, {name: part[self._slots, layer - layout.first] for name, part in parts.items()}
        )
