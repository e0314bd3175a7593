"""Many generations at once: what lists and charts over time read."""

from registry import Registry, measured
from registry.records import EvaluationFacts
from tests.registry.samples import add_expert, add_generation


def fact(
    metric: str, value: float, dataset: str | None = None, details: dict[str, object] | None = None
) -> EvaluationFacts:
    return EvaluationFacts(
        metric=metric, split="test", value=value, examples=20, dataset=dataset, details=details
    )


def test_summaries_count_the_experts_of_each_generation(filled: Registry) -> None:
    found = measured.summaries(filled)
    assert [(one.name, one.experts, one.seconds) for one in found] == [
        ("router@1", 1, 1.5),
        ("router@2", 2, 1.5),
    ]
    assert [one.root for one in found] == [one.root for one in filled.generations()]
    assert measured.summaries(filled, newest=1) == found[1:]


def test_cells_are_the_newest_measures_of_the_tasks_named_or_of_all_together(filled: Registry) -> None:
    filled.add_evaluations("router@2", [fact("routed_accuracy", 0.5), fact("routed_accuracy", 0.25, "sst2")])
    filled.add_evaluations("router@2", [fact("routed_accuracy", 0.75), fact("routing_accuracy", 1, "sst2")])
    together = measured.cells(filled, [1, 2], split="test")
    assert [(one.generation, one.task, one.value) for one in together] == [(2, None, 0.75)]
    by_task = measured.cells(filled, [1, 2], split="test", tasks=["sst2", "trec"])
    assert {(one.metric, one.task, one.value) for one in by_task} == {
        ("routed_accuracy", "sst2", 0.25),
        ("routing_accuracy", "sst2", 1.0),
    }
    [only] = measured.cells(filled, [2], split="test", tasks=["sst2"], metrics=["routing_accuracy"])
    assert only.value == 1.0
    assert measured.cells(filled, [2], split="validation", tasks=["sst2"]) == []


def test_members_and_the_first_generation_of_each_version(filled: Registry) -> None:
    assert measured.members(filled, [1, 2]) == {(1, "sst2"): 1, (2, "sst2"): 2, (2, "trec"): 1}
    assert measured.members(filled, [2], ["trec"]) == {(2, "trec"): 1}
    assert measured.learned(filled, ["sst2", "trec"]) == {("sst2", 1): 1, ("sst2", 2): 2, ("trec", 1): 2}


def test_the_newest_verdict_of_the_gate_counts(filled: Registry) -> None:
    filled.promote("router@1", alias="candidate", reason="first", gate={"passed": False})
    filled.promote("router@1", reason="second", gate={"passed": True})
    assert measured.gate(filled, "router@1") == {"passed": True}
    assert measured.gate(filled, "router@2") is None
    assert measured.gates(filled) == {"router@1": "second"}


def test_scores_and_confusion_are_those_last_measured(registry: Registry) -> None:
    add_expert(registry, "sst2", evaluations=(fact("accuracy", 0.5), fact("accuracy", 0.75)))
    add_generation(
        registry,
        "sst2@1",
        evaluations=(
            fact("routing_accuracy", 1, "sst2", {"sent": {"sst2": 19, "trec": 1}}),
            fact("routing_accuracy", 1, "sst2", {"sent": {"sst2": 20}}),
        ),
    )
    [[newest]] = measured.scores(registry, "test").values()
    assert (newest.subject, newest.value) == ("sst2@1", 0.75)
    assert measured.scores(registry, "validation") == {}
    assert measured.confusion(registry, 1, "test") == {"sst2": {"sst2": 20}}


def test_what_there_is_is_counted_and_named_without_being_read(filled: Registry) -> None:
    assert measured.counts(filled) == {"tasks": 2, "experts": 3, "generations": 2}
    assert measured.names(filled) == [one.name for one in filled.experts(all_versions=True)]
