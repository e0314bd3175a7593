"""Measured numbers, and the cache of what need not be computed twice."""

import math
from dataclasses import replace
from hashlib import sha256

import pytest

from registry import Registry
from registry.errors import InvalidSettingError, NotFoundError
from registry.records import EvaluationFacts
from tests.registry.samples import ACCURACY, add_expert, add_generation


def test_evaluations_come_newest_first_and_say_what_they_were_measured_on(registry: Registry) -> None:
    add_expert(registry, "sst2", evaluations=(ACCURACY,))
    add_expert(registry, "trec", rows=2, number=1)
    routing = EvaluationFacts(metric="routing_accuracy", split="test", value=1, examples=80)
    on_trec = EvaluationFacts(
        metric="routing_accuracy", split="test", value=0.5, examples=40, dataset="trec", details={"lost": [1]}
    )
    add_generation(registry, "sst2", "trec", evaluations=(routing, on_trec))
    registry.add_evaluations("sst2", [replace(ACCURACY, value=0.5)])
    assert [
        (e.subject, e.task, e.dataset_version, e.metric, e.value, e.examples, e.details)
        for ref in ("sst2", "router")
        for e in registry.evaluations(ref)
    ] == [
        ("sst2@1", "sst2", 1, "accuracy", 0.5, 40, None),
        ("sst2@1", "sst2", 1, "accuracy", 0.75, 40, None),
        ("router@1", "trec", 1, "routing_accuracy", 0.5, 40, {"lost": [1]}),
        ("router@1", None, None, "routing_accuracy", 1.0, 80, None),
    ]
    assert registry.evaluations_of(["trec@1", "router@1"]) == {
        "trec@1": [],
        "router@1": registry.evaluations("router"),
    }
    with pytest.raises(NotFoundError, match=r"no task of router@1 'tree'. Did you mean 'trec'\?"):
        registry.add_evaluations("router", [replace(routing, dataset="tree")])


@pytest.mark.parametrize("count", [40, 95])
def test_a_large_generation_keeps_every_slot_and_every_number_in_the_order_given(
    registry: Registry, count: int
) -> None:
    names = [add_expert(registry, f"t{place}", number=place).name for place in range(count)]
    facts = tuple(
        replace(ACCURACY, value=place / count, dataset=f"t{place}", details={"place": place})
        for place in range(count)
    )
    made = add_generation(registry, *names[::-1], evaluations=facts)
    assert registry.generation(made.name).experts == tuple(names[::-1])
    assert [(one.task, one.value, one.details) for one in registry.evaluations(made.name)] == [
        (f"t{place}", place / count, {"place": place}) for place in reversed(range(count))
    ]
    assert registry.verify(made.name) == []


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_none_is_refused_and_takes_the_whole_addition_with_it(
    registry: Registry, value: float
) -> None:
    with pytest.raises(InvalidSettingError, match="not a finite number"):
        add_expert(registry, evaluations=(ACCURACY, replace(ACCURACY, value=value)))
    with pytest.raises(InvalidSettingError, match="Not storable as JSON"):
        add_expert(registry, evaluations=(replace(ACCURACY, details={"loss": value}),))
    assert registry.experts() == []
    with pytest.raises(NotFoundError):
        registry.run(1)


def test_cached_features_can_be_replaced_and_are_forgotten_when_damaged(registry: Registry) -> None:
    assert registry.features("layer 8") is None
    registry.add_features("layer 8", b"old", {"layer": 8})
    registry.add_features("layer 8", b"new", {"layer": 8})
    assert registry.features("layer 8") == b"new"
    path = registry.blobs.path(sha256(b"new").hexdigest())
    path.chmod(0o644)
    path.write_bytes(b"nEw")
    assert registry.features("layer 8") is None
    registry.add_features("layer 8", b"new", {"layer": 8})
    assert registry.features("layer 8") == b"new"
    path.unlink()
    assert registry.features("layer 8") is None
