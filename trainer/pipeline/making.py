"""One expert in the making: from settled plan to frozen expert."""

from collections.abc import Callable
from dataclasses import asdict

from registry import Registry
from trainer.checkpoints import Checkpoint
from trainer.dataset_features import inputs, known_features
from trainer.encoding import Encoding, early_layers, encode
from trainer.experts import ExpertModule
from trainer.pipeline.freezing import AddedTask, Made, Publish, split_of
from trainer.pipeline.plans import Plan, TrainingPlan
from trainer.progress import Progress
from trainer.runs import Moment
from trainer.settings import key
from trainer.state_cache import StateCache
from trainer.trainee import Trainee


class Making:
    """An expert that is being made: what it trains on, where it stands, and how it becomes frozen.

    Args:
        guard: called before a checkpoint is written; raises when the work is somebody else's by now.
    """

    def __init__(
        self, registry: Registry, plan: TrainingPlan, guard: Callable[[], object], on_progress: Progress
    ) -> None:
        self._registry = registry
        self._plan = plan
        self._started = Moment.now()
        folder = registry.cache / "checkpoints"
        self._checkpoint = Checkpoint(folder, key(run=plan.key, task=plan.task, rows=plan.digest), guard)
        module = ExpertModule(plan.base, plan.architecture, plan.training.seed)
        module.kind.prepare(module.head, plan.rows.split("train"))
        self.trainee = Trainee(
            module,
            encode_rows(registry, plan, on_progress),
            split_of(module, plan.rows, "train"),
            split_of(module, plan.rows, "validation"),
            plan.training,
            resume=lambda optimizer: self._checkpoint.load(module, optimizer),
            save=lambda optimizer, state: self._checkpoint.save(module, optimizer, state),
        )

    def publish(self, publish: Publish) -> AddedTask:
        """Measure and freeze the expert, once it is trained."""
        trainee = self.trainee
        made = Made(
            plan=self._plan,
            module=trainee.module,
            encoding=trainee.encoding,
            way="training",
            settings=asdict(self._plan.training),
            seed=self._plan.training.seed,
            history=trainee.state.history,
        )
        added = made.publish(self._registry, self._started, publish)
        self._checkpoint.remove()
        return added


def encode_rows(registry: Registry, plan: Plan, on_progress: Progress) -> Encoding:
    """The rows of a plan as the base model sees them: what is kept is read, the rest computed."""
    return encode(
        plan.base,
        inputs(plan.rows.rows),
        layers=early_layers(plan.architecture.first_layer),
        max_length=plan.architecture.max_length,
        resume_at=plan.architecture.first_layer,
        cache=StateCache.of(registry),
        dataset_sha256=plan.digest,
        features=known_features(registry, plan.features),
        on_progress=on_progress,
    )
