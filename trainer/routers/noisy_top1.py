"""The router of TT-LoRA MoE (arXiv 2504.21190, section 3.3): one linear gate, with learned noise while it
trains.

`g(h) = h W_gate + N(0, 1) * softplus(h' W_noise + b)`, `h` the last token's state, `h'` the mean state, as in
the authors' code; top-1. Unlike that code the noise is off at evaluation, so that the same text always goes
the same way. The layer read is the deepest one the features hold: layer k for one-pass routing, the last for
two passes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.progress import Progress, silent
from trainer.routers import Examples, Features, Routing, best_temperature, from_logits, routing_accuracy
from trainer.visitors import LAST, MEAN

READS = ("states",)
AUTO = False


@dataclass(frozen=True, kw_only=True)
class Config:
    """How the gate is trained."""

    learning_rate: float = 3e-3
    epochs: int = 100
    patience: int = 10
    batch_size: int = 256


class Router(nn.Module):
    """4,097 E parameters for E experts at hidden size 2,048: gate 2,048 E, noise 2,048 E + E."""

    centre: Tensor
    scale: Tensor
    temperature: Tensor

    def __init__(self, config: Config, shape: Sequence[int], slots: int) -> None:
        super().__init__()
        hidden = shape[-1]
        self.gate = nn.Linear(hidden, slots, bias=False)
        self.noise = nn.Linear(hidden, slots)
        self.register_buffer("centre", torch.zeros(2, hidden))
        self.register_buffer("scale", torch.ones(2, hidden))
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, features: Features) -> Routing:
        """Softmax of the gate's scores, without noise."""
        assert features.states is not None
        read = (features.states[:, -1] - self.centre) / self.scale
        return from_logits(self.gate(read[:, LAST]) / self.temperature)

    def standardise(self, states: Tensor) -> Tensor:
        """Take centre and scale from states `(rows, 2, hidden)` of the layer read; the states with both taken
        out."""
        self.centre.copy_(states.mean(0))
        self.scale.copy_(states.std(0, correction=0).clamp_min(1e-6))
        return (states - self.centre) / self.scale

    def noisy_logits(self, read: Tensor, generator: torch.Generator) -> Tensor:
        """The gate's scores with noise, `(batch, slots)`: what training sees of standardised states."""
        clean = self.gate(read[:, LAST])
        noise = torch.randn(clean.shape, generator=generator)
        return clean + noise * functional.softplus(self.noise(read[:, MEAN]))


def fit(
    config: Config,
    training: Examples,
    validation: Examples,
    slots: int,
    seed: int,
    on_progress: Progress = silent,
) -> Router:
    """Adam on the cross-entropy of the noisy scores, every slot weighing the same; stops when validation
    stops improving."""
    generator = torch.Generator().manual_seed(seed)
    router = Router(config, training.shape, slots)
    for layer in (router.gate, router.noise):
        nn.init.normal_(layer.weight, std=0.01, generator=generator)
    nn.init.zeros_(router.noise.bias)
    rows = router.standardise(training.layer(-1))
    held_out = Features(validation.layer(-1)[:, None], None)
    counts = torch.bincount(training.slots, minlength=slots)
    weights = len(training) / slots / counts.clamp_min(1)
    optimizer = torch.optim.Adam(router.parameters(), lr=config.learning_rate, fused=True)
    best, kept, waited = -1.0, router.state_dict(), 0
    for epoch in range(config.epochs):
        for batch in torch.randperm(len(rows), generator=generator).split(config.batch_size):
            logits = router.noisy_logits(rows[batch], generator)
            loss = functional.cross_entropy(logits, training.slots[batch], weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = routing_accuracy(router(held_out), validation.slots)
        waited = 0 if accuracy > best else waited + 1
        if accuracy > best:
            best, kept = accuracy, {name: value.clone() for name, value in router.state_dict().items()}
        on_progress("router: gate", epoch + 1, config.epochs, f"best validation {best:.4f}")
        if waited == config.patience:
            break
    router.load_state_dict(kept)
    router.requires_grad_(False)
    router.temperature.fill_(best_temperature(router(held_out).logits[:, 0], validation.slots))
    return router.eval()
