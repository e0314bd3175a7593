"""The handle that everything else holds: one home with its facts and its blobs."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from platformdirs import user_data_path

from registry import (
    aliases,
    base_models,
    evaluations,
    experts,
    features,
    generations,
    promotion,
    runs,
    subjects,
    tasks,
    trace,
    verify,
)
from registry.blobs import Blobs
from registry.database import Database
from registry.disk import private_folder
from registry.errors import DamagedError, StorageError
from registry.faults import fault
from registry.generations import PRODUCTION
from registry.jobs import Jobs
from registry.lineage import Lineage
from registry.names import ROUTER
from registry.records import (
    Alias,
    AliasEvent,
    BaseModel,
    Dataset,
    Evaluation,
    EvaluationFacts,
    Expert,
    Generation,
    Move,
    NewDataset,
    NewExpert,
    NewGeneration,
    Problem,
    Run,
    RunFacts,
    Task,
)
from registry.retirements import Retirements
from registry.users import Users

if TYPE_CHECKING:  # Numpy is only imported where tensors are, so that listings do not wait for it.
    from registry.tensors import Tensors


class Registry:
    """The registry in a home folder, made if need be, for use from any thread.

    Names are `sst2` (the newest), `sst2@3`, `sst2@stable`, `router@12`, `router@production`. Wherever one is
    given, an unknown one raises NotFoundError. A disk or database that cannot be used raises StorageError.

    Raises:
        SchemaError: The database in `home` is older or newer than this program, or not a registry.
    """

    def __init__(self, home: str | Path | None = None) -> None:
        self.home = user_data_path("expert-registry") if home is None else Path(home).expanduser()
        self._database = Database(self.home)
        self.blobs = Blobs(self.home / "blobs")
        self.jobs = Jobs(self.home, self._database, self.blobs)
        self.users = Users(self._database)
        self.retirements = Retirements(self._database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the database."""
        self._database.close()

    def transaction(self) -> AbstractContextManager[None]:
        """What this thread writes inside the block is done whole or not at all; keep it short."""
        return self._database.transaction()

    @property
    def cache(self) -> Path:
        """A folder whose content may be deleted at any time."""
        return private_folder(self.home / "cache")

    def tasks(self) -> list[Task]:
        """All tasks by name."""
        return self._database.read(tasks.every)

    def task(self, name: str) -> Task:
        """One task."""
        return self._database.read(tasks.get, name)

    def datasets(self, task: str) -> list[Dataset]:
        """All versions of a task's rows, oldest first."""
        return self._database.read(tasks.datasets, task)

    def dataset(self, task: str, version: int | None = None) -> Dataset:
        """One version of a task's rows, by default the newest."""
        return self._database.read(tasks.dataset, task, version)

    def rows(self, dataset: Dataset) -> bytes:
        """The rows of a dataset as they were stored; DamagedError if they are not what was stored."""
        return self.blobs.get(dataset.sha256)

    def add_dataset(self, *, content: bytes, **facts: Unpack[NewDataset]) -> Dataset:
        """Adds the next version of a task's rows, or returns the version with these very bytes.

        Raises:
            ConflictError: The task is of another kind.
            InvalidSettingError: A new task cannot carry that name.
        """
        return self._database.write(tasks.add_dataset, facts, self.blobs, self.blobs.add(content), content)

    def base_models(self) -> list[BaseModel]:
        """All base models, oldest first."""
        return self._database.read(base_models.every)

    def base_model(self, fingerprint: str) -> BaseModel:
        """One base model."""
        return self._database.read(base_models.get, fingerprint)

    def add_base_model(self, model: BaseModel) -> BaseModel:
        """Puts a base model on record, or returns the one on record with its fingerprint."""
        return self._database.write(base_models.add, model)

    def run(self, id: int) -> Run:
        """One training run."""
        return self._database.read(runs.get, id)

    # Experts

    def experts(self, task: str | None = None, **which: Unpack[experts.Which]) -> list[Expert]:
        """The newest expert of each task (or of one task), or all versions; by task and version, in pages."""
        return self._database.read(experts.every, task, **which)

    def expert(self, ref: str) -> Expert:
        """One expert, such as `sst2`, `sst2@3` or `sst2@stable`."""
        return self._database.read(experts.get, ref)

    def find_expert(self, *, task: str, dataset_sha256: str, settings_key: str) -> Expert | None:
        """The newest expert made from these very rows with these very settings, if there is one."""
        return self._database.read(
            experts.find, task=task, dataset_sha256=dataset_sha256, settings_key=settings_key
        )

    def add_expert(
        self,
        *,
        payload: bytes,
        run: RunFacts,
        evaluations: Sequence[EvaluationFacts] = (),
        **facts: Unpack[NewExpert],
    ) -> Expert:
        """Freezes the next version of a task's expert: blob first, then run, row and numbers at once.

        Raises:
            ConflictError: An expert that it was combined from stands on another base model.
            DamagedError: `payload` is not what `registry.tensors.pack` gives, or holds NaN or infinity.
        """
        self._store_tensors(payload, facts["task"])
        expert = self._database.write(experts.add, facts, self.blobs, payload, run=run, evaluated=evaluations)
        fault("row.committed")
        return expert

    # Generations

    def generations(self, *, limit: int | None = None, after: str | None = None) -> list[Generation]:
        """All generations of the router, oldest first; or `limit` of them, `after` one that is named."""
        return self._database.read(generations.every, limit=limit, after=after)

    def generation(self, ref: int | str | None = None) -> Generation:
        """One generation, such as `3`, `router@3`, `router@candidate` or `router` (the newest).

        Without a name: `router@production` if there is one, else the newest.
        """
        return self._database.read(generations.get, ref)

    def add_generation(
        self,
        *,
        experts: Sequence[str],
        payload: bytes,
        run: RunFacts,
        evaluations: Sequence[EvaluationFacts] = (),
        **facts: Unpack[NewGeneration],
    ) -> Generation:
        """Freezes the next generation, which chooses among `experts`, named in the router's slot order.

        Raises:
            ConflictError: An expert stands on another base model.
            DamagedError: `payload` is not what `registry.tensors.pack` gives, or holds NaN or infinity.
        """
        self._store_tensors(payload, ROUTER)
        generation = self._database.write(
            generations.add, facts, self.blobs, payload, chosen=experts, run=run, evaluated=evaluations
        )
        fault("row.committed")
        return generation

    def _store_tensors(self, payload: bytes, subject: str) -> None:
        from registry.tensors import finite, unpack

        finite(unpack(payload)[0], subject)
        self.blobs.add(payload)

    # Either: an expert or a generation

    def tensors(self, ref: str) -> "tuple[Tensors, dict[str, Any]]":
        """The tensors and the metadata of an expert or generation, after checking digest and format.

        Names, shapes and dtypes are the caller's to check: see `registry.tensors.check`.

        Raises:
            DamagedError: The blob is missing, changed, or not tensors.
        """
        from registry.tensors import unpack

        return unpack(self.blobs.get(self._named(ref).sha256))

    def evaluations(self, ref: str) -> list[Evaluation]:
        """The numbers measured of an expert or generation, newest first."""
        name = self._named(ref).name
        return self.evaluations_of([name])[name]

    def evaluations_of(self, names: Iterable[str]) -> dict[str, list[Evaluation]]:
        """The numbers of many at once, by full name such as `sst2@3`; newest first."""
        return self._database.read(evaluations.of, names)

    def add_evaluations(self, ref: str, facts: Sequence[EvaluationFacts]) -> None:
        """Puts numbers measured of an expert or generation on record."""
        self._database.write(evaluations.add, self._named(ref), facts)

    def lineage(self, ref: str) -> Lineage:
        """What an expert or generation came from, and what uses it."""
        return self._database.read(trace.lineage, ref)

    def verify(self, ref: str | None = None) -> list[Problem]:
        """What is wrong with one expert or generation, or with everything; leftovers of a crash are not."""
        return verify.problems(self._database, self.blobs, ref)

    def _named(self, ref: str) -> Expert | Generation:
        return self._database.read(subjects.get, ref)

    # Aliases: `production` is the router's, `sst2@stable` an expert's

    def aliases(self) -> list[Alias]:
        """All aliases, by subject and name."""
        return self._database.read(aliases.every)

    def alias(self, name: str, ref: str | None, **said: Unpack[Move]) -> Alias | None:
        """Lets an alias stand for `ref`, or takes it away when `ref` is `None`; its history stays."""
        if ref is not None:
            return self.promote(ref, alias=name, **said)
        return self._database.write(promotion.remove, name, **said)

    def promote(self, ref: str, *, alias: str = PRODUCTION, **said: Unpack[Move]) -> Alias:
        """Lets an alias stand for an expert or a generation; an expert's alias belongs to its task.

        What is `said` of the move is kept: `reason`, `actor` (by default this process's user) and `gate`.

        Raises:
            ConflictError: The alias is another task's, or the router's.
            InvalidSettingError: An alias cannot be named like that.
        """
        return self._database.write(promotion.promote, ref, alias, **said)

    def rollback(self, alias: str = PRODUCTION, **said: Unpack[Move]) -> Alias:
        """Lets an alias stand for what it stood for before; once more goes one further back."""
        return self._database.write(promotion.rollback, alias, **said)

    def history(self, alias: str = PRODUCTION, *, limit: int | None = None) -> list[AliasEvent]:
        """The moves of an alias, newest first; `registry.promotion.stretches` tells what it was when."""
        return self._database.read(promotion.history, alias, limit)

    def features(self, key: str) -> bytes | None:
        """The bytes cached under `key`; `None` when there are none or they can no longer be trusted."""
        sha256 = self._database.read(features.sha256, key)
        if sha256 is None:
            return None
        try:
            return self.blobs.get(sha256)
        except DamagedError:
            # A cache that cannot be mended is only slow.
            with suppress(StorageError):
                self._database.write(features.remove, key, sha256)
            return None

    def add_features(self, key: str, content: bytes, about: dict[str, Any]) -> None:
        """Caches bytes under `key`, in place of what was there; `about` says what they were computed from."""
        self._database.write(features.add, key, about, self.blobs, self.blobs.add(content), content)
