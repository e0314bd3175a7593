"""One expert in the making: from settled plan to frozen expert."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace

from registry import Expert, Registry
from registry.canonical import canonical_json
from trainer.checkpoints import Checkpoint
from trainer.experts import ExpertModule
from trainer.pipeline.freezing import AddedTask, Made, Publish, encode_rows, nothing_to_do, split_of
from trainer.pipeline.instant import probe_of, publish_probe
from trainer.pipeline.plans import TrainingPlan
from trainer.progress import Progress
from trainer.runs import Moment
from trainer.settings import key
from trainer.trainee import Trainee


class Making:
    """An expert that is being made: what it trains on, where it stands, and how it becomes frozen.

    Attributes:
        there: the expert that these rows with these settings gave before.

    Args:
        guard: called before anything is written on the way; raises when the work is somebody else's by now.
    """

    def __init__(
        self, registry: Registry, plan: TrainingPlan, guard: Callable[[], object], on_progress: Progress
    ) -> None:
        self._registry, self._plan, self._guard = registry, plan, guard
        self.on_progress = on_progress
        self._started = Moment.now()
        self._run = key(run=plan.key, task=plan.task, rows=plan.digest)
        self._checkpoint = Checkpoint(registry.cache / "checkpoints", self._run, guard)
        self._probe: AddedTask | None = None
        self.there = plan.there(registry)

    def answer_meanwhile(self) -> None:
        """Publish a probe on the same rows, which answers until the trained expert does, and stays if that
        is no better."""
        if self.there is not None:
            return
        probe = publish_probe(
            self._registry, probe_of(self._plan), lambda added: self._guard(), self.on_progress
        )
        if self._stayed(probe.expert):
            self.there = probe.expert
        self._probe = probe

    def trainee(self) -> Trainee:
        """What there is to train."""
        plan = self._plan
        module = ExpertModule(plan.base, plan.architecture, plan.training.seed)
        module.kind.prepare(module.head, plan.rows.split("train"))
        self._trainee = Trainee(
            module,
            encode_rows(self._registry, plan, self.on_progress),
            split_of(module, plan.rows, "train"),
            split_of(module, plan.rows, "validation"),
            plan.training,
            resume=lambda optimizer: self._checkpoint.load(module, optimizer),
            save=lambda optimizer, state: self._checkpoint.save(module, optimizer, state),
        )
        return self._trainee

    def publish(self, publish: Publish) -> AddedTask:
        """Measure and freeze the expert, once it is trained and no worse than what answers already."""
        if self.there is not None:
            added = nothing_to_do(self._registry, self.there, self._plan.rows, self._started)
            publish(added)
            return added
        said, better = self._compared()
        if self._probe is not None and not better:
            added = self._keep(self._probe, publish, said)
        else:
            added = self._made().publish(self._registry, self._started, publish, said, self.on_progress)
        self._checkpoint.remove()
        return added

    def _made(self) -> Made:
        trainee, training = self._trainee, self._plan.training
        return Made(
            plan=self._plan,
            module=trainee.module,
            encoding=trainee.encoding,
            way="training",
            settings=asdict(training),
            seed=training.seed,
            history=trainee.state.history,
        )

    def _compared(self) -> tuple[list[str], bool]:
        """What is to be said of the probe beside the trained expert, and whether that is better than it."""
        if self._probe is None:
            return [], True
        metric = self._trainee.module.kind.METRIC
        before, now = self._probe.metrics["validation"][metric], self._trainee.state.best_score[0]
        name = self._probe.expert.name
        if now > before:
            return [
                f"{name}, solved at once, had {metric} {before:.3f} on validation; this has {now:.3f}"
            ], True
        return [f"{name} stays: trained, it had {metric} {now:.3f} on validation, solved {before:.3f}"], False

    def _keep(self, probe: AddedTask, publish: Publish, said: list[str]) -> AddedTask:
        """Leave it at the probe, and remember that, so that the same rows are not trained on again."""
        added = replace(probe, findings=(*probe.findings, *said), seconds=self._started.elapsed())
        with self._registry.transaction():
            content = canonical_json({"expert": probe.expert.sha256}).encode()
            self._registry.add_features(f"stayed-{self._run}", content, {"run": self._run})
            publish(added)
        return added

    def _stayed(self, probe: Expert) -> bool:
        content = self._registry.features(f"stayed-{self._run}")
        return content is not None and json.loads(content) == {"expert": probe.sha256}
