"""Experts of every task kind in one pool: one batch, one router, one report."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from registry import Registry
from registry.errors import InvalidSettingError
from tests.trainer.samples import QUICK
from tests.trainer.tasks.samples import FILES, write
from trainer import MoE, Prediction, add_task, evaluate, kinds, retrain_router
from trainer.base_model import BaseModel
from trainer.inputs import Input
from trainer.pipeline.refitting import RetrainedRouter
from trainer.tally import headlines

SETTINGS = {
    "classification": QUICK,
    "multi_label": replace(QUICK, adapter="lora", rank=3, first_layer=1),
    "multiple_choice": replace(QUICK, rank=2, first_layer=3, max_length=24),
    "regression": replace(QUICK, adapter="lora", rank=7, max_length=40),
    "text_generation": replace(QUICK, rank=3, max_length=28, learning_rate=1e-2, epochs=4),
}
METRICS = {
    "classification": "accuracy",
    "multi_label": "micro_f1",
    "multiple_choice": "accuracy",
    "regression": "spearman",
    "text_generation": "token_f1",
}


@dataclass(frozen=True)
class Made:
    home: Path
    base: BaseModel
    router: RetrainedRouter | None = None

    @property
    def kinds(self) -> list[str]:
        """Those that this base model can do: an encoder does not write."""
        return [kind for kind in SETTINGS if self.base.is_decoder or not kinds.load("tasks", kind).WRITES]

    @property
    def mixed(self) -> list[Input]:
        """Some inputs of each."""
        return [one for kind in self.kinds for one in asked(kind)]


@pytest.fixture(scope="module", params=["llama", "bert"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A home with an expert of each kind, a router of states, one of text, and one that reads in a pass of
    its own."""
    base: BaseModel = request.getfixturevalue(request.param)
    folder = tmp_path_factory.mktemp("made")
    with Registry(folder / "home") as registry:
        for kind in Made(folder, base).kinds:
            add_task(registry, write(folder, kind), kind=kind, base_model=base, settings=SETTINGS[kind])
        router = retrain_router(registry, router="closed_form")
        retrain_router(registry, router="lexical", promote=False)
        retrain_router(registry, router="closed_form", passes="two", promote=False)
    return Made(folder / "home", base, router)


@pytest.fixture
def registry(made: Made) -> Iterator[Registry]:
    with Registry(made.home) as opened:
        yield opened


def asked(kind: str, count: int = 6) -> list[Input]:
    header, *lines = FILES[kind]
    found = []
    for line in lines[:: len(lines) // count][:count]:
        cells = dict(zip(header, line, strict=True))
        choices = tuple(value for name, value in cells.items() if name.startswith("choice_"))
        found.append(Input(cells["text"], choices=choices))
    return found


def close(one: Prediction, other: Prediction) -> bool:
    """Equal, numbers to 1e-4: routers sharpen what rounding makes of their features."""

    def numbers(given: Prediction) -> list[float | None]:
        return [
            given.probability,
            given.margin,
            given.value,
            *given.probabilities.values(),
            *given.weights.values(),
            *given.mixed.values(),
        ]

    told = {
        "label": "",
        "probabilities": {},
        "weights": {},
        "margin": 0.0,
        "probability": None,
        "value": None,
        "score": None,
        "mixed": {},
    }
    # A number's text has six digits, the last of which may differ.
    same = one.label == other.label or one.value is not None
    left, right = (replace(each, **told) for each in (one, other))
    # Scores are of any size.
    same = same and (one.score is None) == (other.score is None)
    same = same and (one.score or 0) == pytest.approx(other.score or 0, rel=1e-3, abs=1e-3)
    same = same and one.mixed.keys() == other.mixed.keys()
    return left == right and same and numbers(one) == pytest.approx(numbers(other), abs=1e-4)


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_a_mixed_batch_of_all_kinds_is_answered_like_each_input_alone(
    made: Made, registry: Registry, generation: int
) -> None:
    moe = MoE.load(registry, generation, base=made.base)
    # Of choices as many as one likes, beside inputs without, in any order.
    more = [Input("Which one is poor?", choices=("a", "b", "c", "d", "e")), *made.mixed[::-1], *made.mixed]
    together = moe.predict(more)
    alone = [one for each in more for one in moe.predict([each])]
    for one, other in zip(together, alone, strict=True):
        assert close(one, other), (one, other)
    for given, found in zip(more, together, strict=True):
        assert (found.task == "multiple_choice") == bool(given.choices)
        assert found.index is None or given.choices[found.index] == found.label
        assert (found.value is None) == (found.task != "regression")
    assert {one.task for one in together} == {*made.kinds}


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_a_routed_input_gets_the_answer_of_its_expert_alone(
    made: Made, registry: Registry, generation: int
) -> None:
    routed = MoE.load(registry, generation, base=made.base).predict(made.mixed)
    for kind in made.kinds:
        places = [place for place, one in enumerate(routed) if one.task == kind]
        given = [made.mixed[place] for place in places]
        alone = MoE.load(registry, expert=kind, base=made.base).predict(given)
        for place, one in zip(places, alone, strict=True):
            assert (one.label, one.index) == (routed[place].label, routed[place].index)
            assert one.value == pytest.approx(routed[place].value, abs=1e-4)


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_the_order_of_choices_changes_neither_routing_nor_answer(
    made: Made, registry: Registry, generation: int
) -> None:
    moe = MoE.load(registry, generation, base=made.base)
    given = asked("multiple_choice")
    turned = [replace(one, choices=one.choices[::-1]) for one in given]
    for one, other in zip(moe.predict(given), moe.predict(turned), strict=True):
        assert one.index is not None
        assert (other.label, other.index) == (one.label, 2 - one.index)
        assert other.probabilities == pytest.approx(one.probabilities, abs=1e-4)
        assert dict(other.weights) == pytest.approx(dict(one.weights), abs=1e-4)


def test_weights_of_experts_that_cannot_take_an_input_are_zero(made: Made, registry: Registry) -> None:
    for one in MoE.load(registry, base=made.base).predict(made.mixed):
        choosing = one.weights["multiple_choice"]
        assert choosing == (1.0 if one.task == "multiple_choice" else 0.0)
        assert sum(one.weights.values()) == pytest.approx(1)


def test_an_input_that_the_expert_cannot_take_is_refused_in_one_line(made: Made, registry: Registry) -> None:
    moe = MoE.load(registry, base=made.base)
    with pytest.raises(InvalidSettingError, match="multiple_choice@1 does not take a text without choices"):
        moe.predict(["hello"], expert="multiple_choice")
    with pytest.raises(InvalidSettingError, match="regression@1 does not take choices: leave them out"):
        moe.predict([Input("hello", choices=("a", "b"))], expert="regression")
    alone = MoE.load(registry, expert="multiple_choice", base=made.base)
    with pytest.raises(InvalidSettingError, match="does not take a text without choices"):
        alone.predict(["hello"])


def test_each_task_is_told_by_its_own_score(made: Made, registry: Registry) -> None:
    assert made.router is not None
    per_task = made.router.per_task
    assert {task: headlines(found)[0] for task, found in per_task.items()} == {
        kind: METRICS[kind] for kind in made.kinds
    }
    for task, found in per_task.items():
        expert = registry.expert(task)
        oldest_first = registry.evaluations(expert.name)[::-1]
        own = {one.metric: one.value for one in oldest_first if one.split == "test"}
        assert next(iter(own)) == METRICS[task]
        assert found[f"oracle_{METRICS[task]}"] == pytest.approx(own[METRICS[task]], abs=1e-9)
    accuracies = {"routing_accuracy", "routed_accuracy", "oracle_accuracy"}
    assert {*made.router.metrics["test"]} == {*accuracies, "coverage"}


def test_evaluating_runs_to_the_same_figures(made: Made, registry: Registry) -> None:
    report = evaluate(registry, "router@1", device="cpu")
    assert made.router is not None
    for task, found in made.router.per_task.items():
        assert report.per_task is not None
        assert report.per_task[task] == pytest.approx(found, abs=1e-4)
    for kind in made.kinds:
        assert evaluate(registry, kind, device="cpu").metrics == pytest.approx(
            {one.metric: one.value for one in registry.evaluations(f"{kind}@1")[::-1] if one.split == "test"},
            abs=1e-4,
        )


def test_the_gate_compares_credits_of_every_kind(made: Made, registry: Registry) -> None:
    again = retrain_router(registry, router="lexical", seed=1, promote=False)
    assert again.gate is not None
    assert {one.task for one in again.gate.tasks} == {*made.kinds}
    for one in again.gate.tasks:
        assert 0 <= one.before <= 1
        assert 0 <= one.after <= 1
        assert one.points == pytest.approx(100 * (one.before - one.after))


def test_experts_of_every_kind_are_measured_on_rows_of_a_file(
    made: Made, registry: Registry, tmp_path: Path
) -> None:
    for kind in made.kinds:
        report = evaluate(registry, kind, data=write(tmp_path, kind), device="cpu")
        assert report.examples == len(FILES[kind]) - 1
        assert next(iter(report.metrics)) == METRICS[kind]
