"""What may look into one forward of the base model and add to it, and how the states seen are pooled."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

MEAN, LAST = 0, 1
"""Places of the pooled states in what `pool` gives."""


class Visitor:
    """What may look into, and add to, one forward. The plain visitor does neither."""

    def enter(self, layer: int, hidden: Tensor) -> None:
        """See the states `(batch, length, hidden)` that enter a layer; number `layers` stands for the final
        states."""

    def adapt(self, layer: int, module: str, x: Tensor, output: Tensor) -> Tensor | None:
        """The output that linear layer `module` of `layer` is to have, where `x` went in and `output` came
        out; None to leave it. Where no gradient is wanted, `output` itself may be changed."""
        return None


class Taps(Visitor):
    """Keeps the states that enter the given layers."""

    def __init__(self, layers: Iterable[int]) -> None:
        self.layers, self.states = frozenset(layers), dict[int, Tensor]()

    def enter(self, layer: int, hidden: Tensor) -> None:
        """Keep the states of a wanted layer."""
        if layer in self.layers:
            self.states[layer] = hidden

    def pooled(self, layers: Sequence[int], mask: Tensor) -> Tensor:
        """Pooled states `(batch, layers, 2, hidden)` of kept layers, in the order asked for."""
        return torch.stack([pool(self.states[layer], mask) for layer in layers], 1)


class Watching(Taps):
    """As `Taps`, while another visitor acts."""

    def __init__(self, layers: Iterable[int], visitor: Visitor) -> None:
        super().__init__(layers)
        self.visitor = visitor

    def adapt(self, layer: int, module: str, x: Tensor, output: Tensor) -> Tensor | None:
        """What the other visitor makes of it."""
        return self.visitor.adapt(layer, module, x, output)


class Stop(Exception):
    """Ends a forward once the states wanted from it are known."""


class StopAt(Visitor):
    """Lets another visitor see and act up to the states that enter one layer, and ends the forward there."""

    def __init__(self, layer: int, visitor: Visitor) -> None:
        self.layer, self.visitor = layer, visitor

    def enter(self, layer: int, hidden: Tensor) -> None:
        """Pass on what is seen; at the layer, stop."""
        self.visitor.enter(layer, hidden)
        if layer == self.layer:
            raise Stop

    def adapt(self, layer: int, module: str, x: Tensor, output: Tensor) -> Tensor | None:
        """What the other visitor makes of it."""
        return self.visitor.adapt(layer, module, x, output)


def pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """`(batch, 2, hidden)`: the mean over a text's tokens, and the state of its last token. Padding never
    counts."""
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    mean = (hidden * weight).sum(1) / weight.sum(1)
    last = hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(1) - 1]
    return torch.stack([mean, last], 1)
