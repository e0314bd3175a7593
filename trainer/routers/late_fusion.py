"""The states and the words of a text, each by a ridge regression of its own, speak about it together (late
fusion): the log-probabilities of `closed_form`, and a share of those of `lexical`.

States of early layers know what a text is about, words what it is made of: a topic that many tasks have in
common hides the turns of phrase of one of them. Validation picks the share, from none.
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
    lexical,
    read,
)

READS = ("states", "text")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Number of hash buckets for words, and the shares of their say to choose from."""

    buckets: int = 4096
    shares: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


class Router(nn.Module):
    """Both, and how much words count; sharpened by dividing by the temperature."""

    share: Tensor
    temperature: Tensor

    def __init__(self, config: Config, shape: Sequence[int], slots: int) -> None:
        super().__init__()
        self.states = closed_form.Router(closed_form.Config(), shape, slots)
        self.words = lexical.Router(lexical.Config(buckets=config.buckets), shape, slots)
        self.register_buffer("share", torch.zeros(()))
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, features: Features) -> Routing:
        """Softmax of the sharpened sum."""
        states, words = self.told(features)
        return from_logits((states + self.share * words) / self.temperature)

    def told(self, features: Features) -> tuple[Tensor, Tensor]:
        """The log-probabilities by states and by words, `(batch, slots)` each."""
        return tuple(one(features).logits[:, 0].log_softmax(-1) for one in (self.states, self.words))


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
        "words": (lexical, lexical.Config(buckets=config.buckets)),
    }
    for name, (module, own) in parts.items():
        fitted = fit_once(module, own, training, validation, slots, seed, on_progress)
        router.get_submodule(name).load_state_dict(fitted.state_dict())
    with torch.no_grad():
        states, words = router.told(read(validation, READS))
    best, logits = 0.0, states
    for share in config.shares:
        tried = states + share * words
        if better(tried, logits, validation.slots):
            best, logits = share, tried
    router.share.fill_(best)
    router.temperature.fill_(best_temperature(logits, validation.slots))
    return router.requires_grad_(False).eval()
