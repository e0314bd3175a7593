"""A head alone, solved as soon as the rows are read: the version that answers while an expert is trained."""

from registry import Registry
from trainer import kinds
from trainer.described import to_json
from trainer.experts import ExpertModule, design
from trainer.pipeline.freezing import AddedTask, Made, Publish, encode_rows, nothing_to_do
from trainer.pipeline.plans import Plan
from trainer.progress import Progress
from trainer.runs import Moment
from trainer.settings import key
from trainer.solving import solve
from trainer.tasks import refuse_unsolvable

ADAPTER = "probe"
ROWS = 2_000
"""Of the training rows, spread evenly: with more, solving takes long and gains little."""


def probe_of(plan: Plan) -> Plan:
    """The probe on the rows of another plan: it reads the same layers of as many tokens."""
    architecture = design(
        plan.base,
        task_kind=plan.architecture.task_kind,
        labels=plan.architecture.labels,
        adapter=ADAPTER,
        preset="default",
        rank=None,
        alpha=None,
        first_layer=plan.architecture.first_layer,
        max_length=plan.architecture.max_length,
    )
    return Plan(
        task=plan.task,
        rows=plan.rows,
        base=plan.base,
        architecture=architecture,
        content=plan.content,
        digest=plan.digest,
        key=key(
            base_model=plan.base.record.fingerprint,
            architecture=to_json(architecture),
            solving={"rows": ROWS},
        ),
    )


def publish_probe(registry: Registry, plan: Plan, publish: Publish, on_progress: Progress) -> AddedTask:
    """Solve and freeze a probe, or find it frozen.

    Raises:
        InvalidSettingError: heads of this kind of rows have no closed form.
    """
    refuse_unsolvable(plan.rows.kind)
    started = Moment.now()
    there = plan.there(registry)
    if there is not None:
        found = nothing_to_do(registry, there, plan.rows, started)
        publish(found)
        return found
    encoding = encode_rows(registry, plan, on_progress)
    rows = plan.rows.rows
    places = [place for place, row in enumerate(rows) if row.split == "train"]
    places = places[:: -(-len(places) // ROWS)]
    on_progress("solving", 0, 1, "")
    kind = kinds.load("tasks", plan.rows.kind)
    solution = solve(
        kind, encoding.features[places].flatten(1), [rows[place] for place in places], plan.rows.labels
    )
    frozen = {f"head.{name}": value for name, value in solution.head.state_dict().items()}
    module = ExpertModule(plan.base, plan.architecture, frozen=frozen).eval().requires_grad_(False)
    made = Made(plan=plan, module=module, encoding=encoding, way="solving", settings={"rows": len(places)})
    added = made.publish(registry, started, publish)
    score = added.metrics["validation"][kind.METRIC]
    on_progress("solving", 1, 1, f"{added.expert.name} answers, {kind.METRIC} {score:.3f} on validation")
    return added
