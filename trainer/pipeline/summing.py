"""The sums of a pool: those kept of the last one, and what has changed since."""

from collections import Counter
from collections.abc import Callable, Sequence

from torch import Tensor

from registry.errors import DamagedError, InvalidSettingError, StorageError
from trainer.kept_sums import SumsFile
from trainer.progress import Progress
from trainer.sums import RidgeSums, TaskSums

STAGE = "router: sums"


class Summing:
    """Brings what is kept up to a list of datasets, which are named by their digests.

    Args:
        features: the training features `(rows, features)` of a dataset; None where they are not to be had any
            more, which may happen to datasets that are no longer wanted.
    """

    def __init__(
        self, file: SumsFile, features: Callable[[str], Tensor | None], on_progress: Progress
    ) -> None:
        self.file, self.features, self.on_progress = file, features, on_progress

    def total(self, wanted: Sequence[str]) -> RidgeSums:
        """The sums of these datasets, in this order. They cost what the datasets cost that have come or gone
        since the last total, which is replaced."""
        members, sums = self._kept()
        gone, new = Counter(members) - Counter(wanted), Counter(wanted) - Counter(members)
        if gone.total() + new.total() > len(wanted) or not self._remove(members, sums, list(gone.elements())):
            members, sums, new = [], RidgeSums(), Counter(wanted)
        for done, digest in enumerate(new.elements(), 1):
            features = self.features(digest)
            assert features is not None, "the features of a dataset in use can be computed"
            sums.add(TaskSums.of(features))
            members.append(digest)
            self.on_progress(STAGE, done, new.total(), "")
        if gone or new:
            self._keep(members, sums)
        return sums.in_order(_places(members, wanted))

    def _kept(self) -> tuple[list[str], RidgeSums]:
        try:
            return self.file.load() or ([], RidgeSums())
        except (DamagedError, StorageError) as reason:
            self.on_progress(STAGE, 0, 1, f"{reason}; they are summed anew")
            return [], RidgeSums()

    def _remove(self, members: list[str], sums: RidgeSums, gone: Sequence[str]) -> bool:
        """Whether all could be taken out."""
        for digest in gone:
            features, slot = self.features(digest), members.index(digest)
            try:
                if features is None:
                    return False
                sums.remove(slot, TaskSums.of(features))
            except InvalidSettingError:
                # Summed with another number of threads: not the same to the last bit.
                return False
            del members[slot]
        return True

    def _keep(self, members: Sequence[str], sums: RidgeSums) -> None:
        try:
            self.file.save(members, sums)
        except StorageError as reason:
            self.on_progress(STAGE, 1, 1, f"{reason}; the next refit sums anew")


def _places(members: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where each wanted one stands; equal ones are the same."""
    return [members.index(digest) for digest in wanted]
