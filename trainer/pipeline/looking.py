"""Single decisions of a frozen router, without the base model: from what is kept of rows on record."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from registry import Registry
from registry.errors import NotFoundError, not_found
from trainer.base_model import BaseModel
from trainer.data import Row
from trainer.measuring import check_split
from trainer.pipeline.archive import Archive
from trainer.pipeline.routed_pool import RoutedPool


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Where one row was sent.

    Attributes:
        task: whose row it is; sent: the task whose expert was chosen.
        weight: of the expert that was chosen; own: of its own task's expert.
    """

    row: Row
    task: str
    sent: str
    weight: float
    own: float


class Kept(Archive):
    """An archive that reads what is kept and computes nothing that needs the base model."""

    def base(self, fingerprint: str) -> BaseModel:
        """Refuse.

        Raises:
            NotFoundError: always.
        """
        raise NotFoundError(
            "what the router read of these rows is not kept any more; fit the next generation "
            "(registry retrain-router), which computes it again"
        )


def decisions(
    registry: Registry, ref: str, tasks: Sequence[str] | None = None, split: str = "test"
) -> Iterator[Decision]:
    """Each row of a split of some tasks (by default all), sent by a generation.

    Raises:
        NotFoundError: no such generation, a task that it does not have, or its features are gone.
        DamagedError: frozen bytes are not what they were.
    """
    check_split(split)
    pool = RoutedPool.frozen(Kept(registry, "cpu"), registry.generation(ref))
    slots = {expert.task: slot for slot, expert in enumerate(pool.experts)}
    for task in slots if tasks is None else tasks:
        if task not in slots:
            raise not_found(f"task of {ref}", task, list(slots))
        rows = pool.archive.rows(pool.experts[slots[task]])
        places = rows.places(split)
        routing = pool.routing(rows, places)
        weights = routing.weights[:, 0].tolist()
        for row, given, slot in zip(rows.take(places), weights, routing.slots[:, 0].tolist(), strict=True):
            yield Decision(
                row=row,
                task=task,
                sent=pool.experts[slot].task,
                weight=given[slot],
                own=given[slots[task]],
            )
