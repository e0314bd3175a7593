"""What a text is about and how it is written choose together (late fusion): the log-probabilities of
`closed_form`, which reads states, and a share of those of `trigrams`, which reads characters.

Each tells tasks apart that the other takes for one: of one subject but written in another way, or the other
way round. Validation picks the share, from none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainer.progress import Progress, silent
from trainer.ridge import better
from trainer.routers import (
    Examples,
    Features,
    Routing,
    best_temperature,
    closed_form,
    fit_once,
    from_logits,
    read,
    trigrams,
)

READS = ("states", "text")
AUTO = True


@dataclass(frozen=True, kw_only=True)
class Config:
    """Number of hash buckets of `trigrams`, and the shares of its say to choose from."""

    buckets: int = trigrams.Config.buckets
    shares: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)


class Router(nn.Module):
    """Both, and how much trigrams count; sharpened by dividing by the temperature."""

    share: Tensor
    temperature: Tensor

    def __init__(self, config: Config, shape: Sequence[int], slots: int) -> None:
        super().__init__()
        self.states = closed_form.Router(closed_form.Config(), shape, slots)
        self.trigrams = trigrams.Router(trigrams.Config(buckets=config.buckets), shape, slots)
        self.register_buffer("share", torch.zeros(()))
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, features: Features) -> Routing:
        """Softmax of the sharpened sum."""
        by_states, by_trigrams = self.told(features)
        return from_logits((by_states + self.share * by_trigrams) / self.temperature)

    def told(self, features: Features) -> tuple[Tensor, Tensor]:
        """The log-probabilities by states and by trigrams, `(batch, slots)` each."""
        by_states, by_trigrams = (
            one(features).logits[:, 0].log_softmax(-1) for one in (self.states, self.trigrams)
        )
        return by_states, by_trigrams


def fit(
    config: Config,
    training: Examples,
    validation: Examples,
    slots: int,
    seed: int,
    on_progress: Progress = silent,
) -> Router:
    """Fit both, and keep the share that validation likes best. Nothing is random: the seed is not used."""
    router = Router(config, validation.shape, slots)
    parts = {
        "states": (closed_form, closed_form.Config()),
        "trigrams": (trigrams, trigrams.Config(buckets=config.buckets)),
    }
    for name, (module, own) in parts.items():
        fitted = fit_once(module, own, training, validation, slots, seed, on_progress)
        router.get_submodule(name).load_state_dict(fitted.state_dict())
    with torch.no_grad():
        by_states, by_trigrams = router.told(read(validation, READS))
    best, logits = 0.0, by_states
    for share in config.shares:
        tried = by_states + share * by_trigrams
        if better(tried, logits, validation.slots):
            best, logits = share, tried
    router.share.fill_(best)
    router.temperature.fill_(best_temperature(logits, validation.slots))
    return router.requires_grad_(False).eval()
