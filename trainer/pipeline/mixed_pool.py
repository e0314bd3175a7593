"""A generation that mixes its experts in every token, asked about rows on record."""

from registry import Expert, Generation
from trainer import kinds
from trainer.dataset_features import inputs
from trainer.generations import mixes_tokens
from trainer.measuring import HELD_OUT
from trainer.moe import MoE
from trainer.pipeline.archive import Archive
from trainer.pipeline.routed_pool import RoutedPool


class MixedPool:
    """Nothing that it answers is on record: every row is asked."""

    def __init__(self, archive: Archive, generation: Generation) -> None:
        self.archive = archive
        base = archive.base(generation.base_model)
        self._moe = MoE.load(archive.registry, generation.name, base=base)
        self.experts = self._moe.experts

    def credits(self, expert: Expert) -> list[float]:
        """How nearly each of the held-out rows of an expert's task is answered rightly, from 0 to 1."""
        rows = self.archive.rows(expert)
        own = rows.take(rows.places(*HELD_OUT))
        said = self._moe.predict(inputs(own), on_progress=self.archive.on_progress)
        found: list[float] = kinds.load("tasks", expert.kind).credits([one.label or "" for one in said], own)
        return found


def frozen_pool(archive: Archive, generation: Generation) -> RoutedPool | MixedPool:
    """A generation of the registry.

    Raises:
        DamagedError: frozen bytes are not what they were.
    """
    return (MixedPool if mixes_tokens(generation) else RoutedPool.frozen)(archive, generation)
