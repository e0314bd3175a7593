"""`train_mixture`: a gate learns to weigh experts for each token, and unless they are frozen they learn with
it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from registry import Expert, Generation, Registry
from registry.errors import InvalidSettingError
from registry.records import EvaluationFacts, RunFacts
from trainer import gate_start, generations
from trainer.base_model import BaseModel
from trainer.checkpoints import Checkpoint
from trainer.corpora import read_corpus
from trainer.data import TaskData
from trainer.dataset_features import inputs
from trainer.described import to_json
from trainer.encoding import Encoding, encode
from trainer.experts import ExpertModule
from trainer.gates import soft_token
from trainer.generations import RouterDesign, parameter_count
from trainer.layouts import family_of
from trainer.lessons import read_lessons
from trainer.measuring import HELD_OUT
from trainer.mixture import Mixture, MixtureTrainee, judged, outputs
from trainer.mixture_settings import SHARED, MixtureSettings
from trainer.pipeline.freezing import by_split
from trainer.pipeline.mixture_plan import MixturePlan, TrainedMixture
from trainer.pipeline.promoting import CANDIDATE
from trainer.progress import Progress, silent
from trainer.runs import Moment
from trainer.selection import choose_several
from trainer.settings import key
from trainer.state_cache import StateCache
from trainer.thawing import fitting_base, thawed
from trainer.training import learn

ROUTER = "soft_token"
SHARE = 1 / 3
"""Of the learning rate of a kind of adapters, for those that have been trained before."""


def train_mixture(
    registry: Registry,
    data: str | Path,
    *,
    experts: Sequence[str],
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    settings: MixtureSettings | None = None,
    base_model: BaseModel | None = None,
    device: str = "auto",
    on_progress: Progress = silent,
) -> TrainedMixture:
    """Train a gate over experts on a corpus, and freeze it as the next generation, `router@candidate`; the
    one in production stays there. Experts that learn with it become new versions, after those they came from.

    Args:
        data: with a column `text` all of its tokens are learnt; with `target` that; with `label` and `task`
            the answer of the task's expert.
        base_model: the one that the experts stand on, where it is loaded already.

    Raises:
        DataRefusedError: the rows cannot be taken as they are, or no expert can learn from them.
        NotFoundError: an unknown expert, column or file.
        ConflictError: experts of different base models, or two versions of one task.
        InvalidSettingError: fewer than two experts, one that is a head alone or whose head reads layers on
            the way, templates that differ, rows that are to be written on an encoder.
    """
    chosen = choose_several(registry, experts)
    rows = read_corpus(data, chosen, text=text, text_pair=text_pair, label=label)
    return mix_rows(
        registry,
        [one.name for one in chosen],
        rows,
        settings=settings,
        base_model=base_model,
        device=device,
        on_progress=on_progress,
    )


def mix_rows(
    registry: Registry,
    experts: Sequence[str],
    rows: TaskData,
    *,
    settings: MixtureSettings | None = None,
    base_model: BaseModel | None = None,
    device: str = "auto",
    actor: str | None = None,
    on_progress: Progress = silent,
    finish: Callable[[TrainedMixture], object] = lambda made: None,
    guard: Callable[[], object] = lambda: None,
) -> TrainedMixture:
    """`train_mixture` from rows that were read and checked before.

    Args:
        actor: who is on record for the move of `router@candidate`.
        finish: called in the transaction that publishes the generation; when it raises, nothing is published.
        guard: called before anything is written on the way; raises when the work is somebody else's by now.
    """
    started = Moment.now()
    chosen = choose_several(registry, experts)
    plan = MixturePlan(registry, chosen, rows, settings or MixtureSettings())
    there = plan.there()
    if there is not None:
        with registry.transaction():
            found = plan.told(there, started)
            finish(found)
        return found
    base = fitting_base(registry, chosen[0].base_model, base_model, device, on_progress)
    work = _Mixing(plan, base, guard, on_progress)
    return work.publish(started, actor, finish)


class _Mixing:
    """A mixture that is being made."""

    def __init__(
        self, plan: MixturePlan, base: BaseModel, guard: Callable[[], object], on_progress: Progress
    ) -> None:
        self._plan, self._base, self._on_progress = plan, base, on_progress
        settings, chosen, rows = plan.settings, plan.chosen, plan.rows
        members = [thawed(plan.registry, base, one) for one in chosen]
        for one, member in zip(chosen, members, strict=True):
            if not member.layouts:
                raise InvalidSettingError(
                    f"{one.name} is a head alone (kind {one.adapter}), which has nothing to mix: leave it out"
                )
            if member.architecture.head_layers:
                raise InvalidSettingError(
                    f"the head of {one.name} reads layers on the way, which a mixture does not keep: leave "
                    "it out, or name an expert that was trained"
                )
        first = min(member.architecture.first_layer for member in members)
        layers = (first,) if settings.gate == SHARED else tuple(range(first, base.layers))
        self._lessons = read_lessons(base, members, [one.task for one in chosen], rows.rows)
        self._design = RouterDesign(
            kind=ROUTER,
            kind_config=to_json(soft_token.Config(top_k=settings.top_k)),
            layers=layers,
            passes="one",
            max_length=min(member.architecture.max_length for member in members),
        )
        router = soft_token.Router(
            soft_token.Config(top_k=settings.top_k), (len(layers), 2, base.hidden), len(chosen)
        ).start(settings.seed)
        on_progress("starting the gate", 0, 1, "")
        gate_start.start(
            router.to(base.device), layers, plan.registry, base, [*zip(chosen, members, strict=True)]
        )
        on_progress("starting the gate", 1, 1, "")
        self._mixture = Mixture(members, router, layers, frozen=settings.freeze_experts)
        self._encoding = self._encode(first)
        training = settings.training(rows.counts()["train"])
        run = key(mixture=plan.facts, digests={one.name: one.sha256 for one in chosen})
        self._checkpoint = Checkpoint(plan.registry.cache / "checkpoints", run, guard)
        self._trainee = MixtureTrainee(
            self._mixture,
            self._encoding,
            self._lessons,
            training,
            balance=settings.balance,
            adapter_rates=[_rate(member, settings) for member in members],
            resume=lambda optimizer: self._checkpoint.load(self._mixture, optimizer),
            save=lambda optimizer, state: self._checkpoint.save(self._mixture, optimizer, state),
        )

    def publish(
        self, started: Moment, actor: str | None, finish: Callable[[TrainedMixture], object]
    ) -> TrainedMixture:
        """Train, measure on the held-out rows, and put experts and generation on record at once."""
        learn([self._trainee], on_progress=self._on_progress)
        plan, measured = self._plan, self._measure()
        with plan.registry.transaction():
            experts = self._freeze_experts(started)
            generation = self._freeze(experts, measured, started)
            reason = f"train-mixture: of {', '.join(plan.facts['experts'])}"
            plan.registry.promote(generation.name, alias=CANDIDATE, reason=reason, actor=actor)
            made = plan.result(
                generation, by_split(measured), started, created=True, remarks=self._encoding.remarks
            )
            finish(made)
        self._checkpoint.remove()
        return made

    def _encode(self, first: int) -> Encoding:
        registry, tokens = self._plan.registry, self._lessons.tokens
        return encode(
            self._base,
            inputs(self._plan.rows.rows),
            layers=(first,),
            max_length=self._design.max_length,
            resume_at=first,
            cache=StateCache.of(registry),
            dataset_sha256=self._plan.digest,
            tokens=tokens,
            form=key(read={"tokens": [one.ids for one in tokens]}),
            on_progress=self._on_progress,
        )

    def _measure(self) -> list[EvaluationFacts]:
        found = []
        for split in HELD_OUT:
            places = self._lessons.places(split)
            said = outputs(self._mixture, self._encoding, self._lessons, places)
            scores = judged(self._mixture, self._lessons, places, said).metrics
            found += [
                EvaluationFacts(metric=name, split=split, value=value, examples=len(places))
                for name, value in scores.items()
            ]
            self._on_progress(f"measuring on {split}", 1, 1, "")
        return found

    def _freeze_experts(self, started: Moment) -> list[str]:
        """The experts of the generation: those there are, or the next versions of them."""
        plan = self._plan
        if plan.settings.freeze_experts:
            return [one.name for one in plan.chosen]
        return [
            self._next_version(one, member, started)
            for one, member in zip(plan.chosen, self._mixture.members, strict=True)
        ]

    def _next_version(self, expert: Expert, member: ExpertModule, started: Moment) -> str:
        plan, registry = self._plan, self._plan.registry
        dataset = registry.dataset(expert.task, expert.dataset)
        about = {"task": expert.task, "base_model": expert.base_model, "dataset": dataset.sha256}
        made = registry.add_expert(
            task=expert.task,
            dataset=expert.dataset,
            base_model=expert.base_model,
            adapter=expert.adapter,
            config={"architecture": expert.config["architecture"], "mixture": plan.facts},
            labels=expert.labels,
            parameters=expert.parameters,
            payload=member.pack(about),
            settings_key=key(mixture=plan.facts, expert=expert.sha256),
            combined_from={expert.name: 1.0},
            run=self._run(started),
        )
        return made.name

    def _freeze(
        self, experts: Sequence[str], measured: Sequence[EvaluationFacts], started: Moment
    ) -> Generation:
        plan, router = self._plan, self._mixture.router
        digests = [plan.registry.expert(name).sha256 for name in experts]
        return plan.registry.add_generation(
            router=self._design.kind,
            config={"router": to_json(self._design), "settings": plan.facts, "candidates": {}},
            base_model=self._base.record.fingerprint,
            experts=experts,
            parameters=parameter_count(router),
            payload=generations.pack(router, {"experts": digests}),
            run=self._run(started),
            evaluations=measured,
        )

    def _run(self, started: Moment) -> RunFacts:
        state, facts = self._trainee.state, self._plan.facts
        return started.run(kind="mixture", settings=facts, seed=facts["seed"], history=state.history)


def _rate(member: ExpertModule, settings: MixtureSettings) -> float:
    if settings.learning_rate is not None:
        return settings.learning_rate
    return SHARE * float(family_of(member.architecture).LEARNING_RATE)
