"""`adapt`: a few rows, and the experts that there are, become one more expert, without training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from registry import Expert, Registry, combinations
from registry.names import check_task
from trainer import kinds
from trainer.base_model import BaseModel
from trainer.blocks import apart, give_head
from trainer.combining import Parent, Search, Update, add_up, deep_layers, rounded, said
from trainer.data import Given, TaskData, task_name
from trainer.encoding import Encoding
from trainer.experts import ExpertModule, described, design
from trainer.few_rows import read_few
from trainer.layouts import Architecture, layouts
from trainer.pipeline.freezing import AddedTask, Made, encode_rows, nothing_to_do
from trainer.pipeline.narrowing import likeliest
from trainer.pipeline.plans import Plan
from trainer.progress import Progress, silent
from trainer.runs import Moment
from trainer.selection import choose_parents, combinable
from trainer.settings import ExpertSettings, key
from trainer.tasks import refuse_other_kind
from trainer.thawing import fitting_base, thawed

EFFORT = 1.2e12
"""Parameters that tokens go through in all tries together: 20 seconds on two cores. The same whatever the
machine, so that the same rows give the same expert."""
FEWEST_TRIES, MOST_TRIES = 6, 100
LARGEST_RANK = 16
"""Of the new expert, unless a person says otherwise; its parents' ranks added up where that is less."""
EXACT = 1e-4
"""Share of an update that rounding of numbers alone may lose."""
DETAILS = ("tried", "left_out", "base_alone", "rank", "rounding_error")


@dataclass(frozen=True, kw_only=True)
class Adapted:
    """What came of `adapt`.

    Attributes:
        combined_from: the weight of each parent; empty when no expert told more than the base model alone.
        details: `tried`: how many combinations; `left_out`: the score of the rows that were fitted, each left
            out; `base_alone`: the same without any expert; `rank`, and `rounding_error`: the share of the
            update that cores of that rank lose.
    """

    added: AddedTask
    combined_from: dict[str, float]
    details: dict[str, Any]

    @property
    def expert(self) -> Expert:
        """The new expert, or the one that was there already."""
        return self.added.expert

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {**self.added.as_json(), "combined_from": self.combined_from, **self.details}


def adapt(
    registry: Registry,
    data: Given,
    *,
    name: str | None = None,
    experts: Sequence[str] | None = None,
    rank: int | None = None,
    max_length: int = ExpertSettings.max_length,
    base_model: BaseModel | None = None,
    device: str = "auto",
    on_progress: Progress = silent,
    **columns: Any,
) -> Adapted:
    """Combine experts into a new one by 8 to 64 labelled rows, and freeze it as the task's next version.

    Its update is a weighted sum of theirs, rounded back to tensor-train cores; its head is solved. No
    gradient is taken, and the same rows and experts give the same bytes.

    Args:
        experts: which may be combined, by default the newest of each other task that is not retired.
        rank: of the new expert's cores, at most.
        base_model: the one that the experts stand on, where it is loaded already.
        columns: `kind`, `text`, `text_pair`, `label`, `validation`, `test`: as of `add_task`.

    Raises:
        DataRefusedError: the rows cannot be taken as they are, or are too few or too many.
        ConflictError: the task exists with another kind, or the experts stand on several base models.
        NotFoundError: no expert yet, or an unknown expert or column.
        InvalidSettingError: an expert or a kind of rows that cannot be combined; a rank that does not fit.
    """
    return adapt_rows(
        registry,
        task_name(data) if name is None else name,
        read_few(data, **columns),
        experts=experts,
        rank=rank,
        max_length=max_length,
        base_model=base_model,
        device=device,
        on_progress=on_progress,
    )


def adapt_rows(
    registry: Registry,
    task: str,
    rows: TaskData,
    *,
    experts: Sequence[str] | None = None,
    rank: int | None = None,
    max_length: int = ExpertSettings.max_length,
    base_model: BaseModel | None = None,
    device: str = "auto",
    on_progress: Progress = silent,
    finish: Callable[[Adapted], object] = lambda adapted: None,
) -> Adapted:
    """`adapt` from rows that were read and checked before.

    Args:
        finish: called in the transaction that publishes the expert; when it raises, nothing is published.
    """
    started = Moment.now()
    refuse_other_kind(registry, check_task(task), rows.kind)
    parents = combinable(choose_parents(registry, task, experts), named=experts is not None)
    base = fitting_base(registry, parents[0].base_model, base_model, device, on_progress)
    work = _Adapting(registry, base, task, rows, parents, rank, max_length, on_progress)
    there = work.plan.there(registry)
    if there is not None:
        added = nothing_to_do(registry, there, rows, started)
        finish(_told(registry, added))
    else:
        made = work.make()
        added = made.publish(
            registry,
            started,
            lambda added: finish(_told(registry, added)),
            [f"combined from {said(made.combined_from)}"],
        )
    return _told(registry, added)


class _Adapting:
    """What is settled before the search, and the search."""

    def __init__(
        self,
        registry: Registry,
        base: BaseModel,
        task: str,
        rows: TaskData,
        parents: Sequence[Expert],
        rank: int | None,
        max_length: int,
        on_progress: Progress,
    ) -> None:
        self._registry, self._base, self._rank, self._on_progress = registry, base, rank, on_progress
        self._kind = kinds.load("tasks", rows.kind)
        self._loaded: dict[str, Parent] = {}
        content = rows.to_jsonl()
        plan = Plan(
            task=task,
            rows=rows,
            base=base,
            architecture=_architecture(base, rows, parents, 1 if rank is None else rank, max_length),
            content=content,
            digest=sha256(content).hexdigest(),
            key="",
        )
        self._encoding = encode_rows(registry, plan, on_progress)
        self._tries = _tries(base, plan.architecture, self._encoding)
        self._parents = likeliest(registry, base, parents, rows.rows, 2 * self._tries // 3, on_progress)
        self._settings = {
            "experts": [one.name for one in self._parents],
            "rank": rank,
            "max_length": max_length,
            "tries": self._tries,
            "layers": list(deep_layers(base.layers, plan.architecture.first_layer)),
        }
        digests = [one.sha256 for one in self._parents]
        facts = {**self._settings, "experts": digests}
        self.plan = replace(plan, key=key(base_model=base.record.fingerprint, adapting=facts))

    def make(self) -> Made:
        """Search, round what was found, and solve its head once more."""
        search = self._search()
        best = search.run([one.name for one in self._parents])
        found = add_up([self._parent(name).update for name in best.weights], [*best.weights.values()])
        module, lost = self._rounded(found)
        final = search.judge(best.weights, module.visitor().parts)
        give_head(module, search.head(final), final.solution.head, self._base)
        metric = self._kind.METRIC
        details = {
            "tried": search.tried,
            "left_out": {metric: final.score},
            "base_alone": {metric: search.bare().score},
            "rounding_error": lost,
        }
        return Made(
            plan=replace(self.plan, architecture=module.architecture),
            module=module,
            encoding=self._encoding,
            way="adapting",
            settings={**self._settings, "rank": module.architecture.adapter_config["rank"], **details},
            combined_from=best.weights,
        )

    def _search(self) -> Search:
        rows = self.plan.rows
        places = [place for place, row in enumerate(rows.rows) if row.split == "train"]
        return Search(
            self._kind,
            rows.labels,
            self._encoding,
            places,
            rows.split("train"),
            self._parent,
            self.plan.architecture.first_layer,
            self._tries,
            self._on_progress,
        )

    def _parent(self, name: str) -> Parent:
        """An expert that may be combined; read once."""
        if name not in self._loaded:
            module = thawed(self._registry, self._base, self._registry.expert(name))
            weight = dict(module.head.named_parameters()).get("weight")
            head = None if weight is None else apart(module.architecture, weight.cpu(), self._base.layers)
            self._loaded[name] = Parent(module.visitor().parts, head)
        return self._loaded[name]

    def _rounded(self, update: Update) -> tuple[ExpertModule, float]:
        """An update as an expert with tensor-train cores and a head that says nothing yet; what it loses."""
        plan, sizes = self.plan, self._base.targets(self.plan.architecture.targets).values()
        most = min(LARGEST_RANK if self._rank is None else self._rank, *map(min, sizes))
        whole = max([parts["a"].shape[-1] for parts in update.values()], default=1)
        # Of a matrix that was no train before, the ranks between its modes may be larger than its own.
        for rank in (min(whole, most), most):
            config = {**plan.architecture.adapter_config, "rank": rank}
            architecture = replace(plan.architecture, adapter_config=config)
            values, lost = rounded(architecture, layouts(self._base, architecture), update)
            if lost < EXACT:
                break
        head = self._kind.head(self._base.hidden, plan.rows.labels).state_dict()
        frozen = values | {f"head.{name}": value for name, value in head.items()}
        module = ExpertModule(self._base, architecture, frozen=frozen)
        return module.eval().requires_grad_(False), lost


def _told(registry: Registry, added: AddedTask) -> Adapted:
    return Adapted(
        added=added,
        combined_from=combinations.parts_of(registry, added.expert),
        details={name: added.expert.config["adapting"][name] for name in DETAILS},
    )


def _architecture(
    base: BaseModel, rows: TaskData, parents: Sequence[Expert], rank: int, max_length: int
) -> Architecture:
    """Of the new expert: it acts wherever one of its parents may."""
    theirs = [described(one) for one in parents]
    return design(
        base,
        task_kind=rows.kind,
        labels=rows.labels,
        adapter="tt_lora",
        preset="default",
        rank=rank,
        alpha=1.0,
        first_layer=min(one.first_layer for one in theirs),
        max_length=max_length,
        targets=sorted({target for one in theirs for target in one.targets}),
    )


def _tries(base: BaseModel, architecture: Architecture, encoding: Encoding) -> int:
    """How many combinations are tried: as many as the effort allows."""
    tokens = sum(len(one.ids) for one in encoding.tokens)
    share = (base.layers - architecture.first_layer) / base.layers
    fitting = int(EFFORT / (tokens * share * base.record.parameters))
    return max(FEWEST_TRIES, min(MOST_TRIES, fitting))
