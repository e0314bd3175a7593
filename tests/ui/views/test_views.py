"""What the tabs of experts, generations, the continual matrix and lineage show, as documents."""

import json

import pytest

from registry import NotFoundError, Registry
from registry.records import EvaluationFacts
from tests.registry.samples import ACCURACY, add_expert, add_generation
from ui.views import continual, experts, lineage, routers, routing, rows


def routed(task: str | None, routing: float, right: float, own: float, **sent: int) -> list[EvaluationFacts]:
    values = {"routing_accuracy": routing, "routed_accuracy": right, "oracle_accuracy": own}
    return [
        EvaluationFacts(
            metric=name,
            split="test",
            value=value,
            examples=40,
            dataset=task,
            details={"sent": sent} if sent and name == "routing_accuracy" else None,
        )
        for name, value in values.items()
    ]


@pytest.fixture
def grown(registry: Registry) -> Registry:
    """sst2@1 in router@1; with trec@1 in router@2, where sst2 lost rows; sst2@2 in router@3."""
    add_expert(registry, "sst2", rows=1, number=1, evaluations=(ACCURACY,))
    add_generation(
        registry, "sst2@1", number=1, evaluations=(*routed(None, 1, 0.8, 0.8), *routed("sst2", 1, 0.8, 0.8))
    )
    add_expert(registry, "trec", rows=1, number=2)
    facts = (
        *routed(None, 0.9, 0.7, 0.8),
        *routed("sst2", 0.75, 0.7, 0.8, sst2=30, trec=10),
        *routed("trec", 1, 0.6, 0.6, trec=40),
    )
    add_generation(registry, "sst2@1", "trec@1", number=2, evaluations=facts)
    add_expert(registry, "sst2", rows=2, number=3)
    facts = (*routed("sst2", 1, 0.9, 0.9), *routed("trec", 1, 0.5, 0.6))
    add_generation(registry, "sst2@2", "trec@1", number=3, evaluations=facts)
    registry.promote("router@2", reason="better", gate={"passed": True, "against": None})
    registry.promote("sst2@1", alias="stable")
    return registry


def test_the_table_of_experts(grown: Registry) -> None:
    listed = experts.list_experts(grown, all_versions=True)
    assert [one["name"] for one in listed] == ["sst2@1", "sst2@2", "trec@1"]
    first = listed[0]
    assert first["aliases"] == ["sst2@stable"]
    assert first["shape"] == "rank 5"
    assert first["test"]["value"] == 0.75
    assert first["test"]["low"] < 0.75 < first["test"]["high"]
    assert listed[1]["test"] is None
    assert [one["name"] for one in experts.list_experts(grown)] == ["sst2@2", "trec@1"]
    assert [one["name"] for one in experts.list_experts(grown, text=" STABLE", all_versions=True)] == [
        "sst2@1"
    ]
    assert json.dumps(listed)


def test_the_card_of_an_expert_tells_up_and_down(grown: Registry) -> None:
    card = experts.show_expert(grown, "sst2@stable")
    assert (card["name"], card["used_by"], card["earlier"]) == ("sst2@1", ["router@1", "router@2"], [])
    assert experts.show_expert(grown, "sst2")["earlier"] == ["sst2@1"]
    assert card["curve"] == [{"epoch": 1, "loss": 0.5}]
    assert [one["value"] for one in card["evaluations"]] == [0.75]
    assert card["damage"] is None


def test_a_damaged_file_is_told_on_the_card_and_the_rest_is_there(grown: Registry) -> None:
    path = grown.blobs.path(grown.expert("sst2@1").sha256)
    path.chmod(0o600)
    path.write_bytes(b"rot")
    card = experts.show_expert(grown, "sst2@1")
    assert "sst2@1" not in (card["damage"] or "sst2@1")
    assert card["parameters"] == 10
    found = continual.check_digests(grown, "router@2")
    assert (found["experts"], found["identical"]) == (2, 1)
    assert [problem["subject"] for problem in found["problems"]] == ["sst2@1"]


def test_generations_come_newest_first_with_what_was_measured_and_said(grown: Registry) -> None:
    third, second, first = routers.list_generations(grown)
    assert (third["name"], third["test"], third["gate"], third["aliases"]) == ("router@3", {}, None, [])
    assert (second["experts"], second["gate"], second["aliases"]) == (2, "better", ["router@production"])
    assert second["test"]["routed_accuracy"]["value"] == 0.7
    assert first["test"]["oracle_accuracy"]["rows"] == 40
    assert [one["name"] for one in routers.list_generations(grown, newest=1)] == ["router@3"]


def test_accuracy_over_time_of_all_tasks_and_of_one(grown: Registry) -> None:
    assert [(one["generation"], one["routed_accuracy"]) for one in routers.over_time(grown)] == [
        (1, 0.8),
        (2, 0.7),
    ]
    assert routers.points(routers.list_generations(grown)) == routers.over_time(grown)
    assert [one["routed_accuracy"] for one in routers.over_time(grown, task="trec")] == [0.6, 0.5]
    with pytest.raises(NotFoundError):
        routers.over_time(grown, task="trex")


def test_the_card_of_a_generation_is_by_default_that_of_production(grown: Registry) -> None:
    card = routers.show_generation(grown)
    assert (card["name"], card["aliases"]) == ("router@2", ["router@production"])
    assert card["per_task"]["sst2"]["routed_accuracy"]["value"] == 0.7
    assert card["gate"] == {"passed": True, "against": None}
    [move] = routers.alias_history(grown)
    assert move["what"] == "promote: from nothing to router@2: better"


def test_what_is_mixed_up(grown: Registry) -> None:
    found = routing.show_confusion(grown, "router@2")
    assert (found["tasks"], found["rows"]) == (["sst2", "trec"], [[30, 10], [0, 40]])
    assert found["pairs"] == [{"task": "sst2", "sent": "trec", "rows": 10, "share": 0.25}]
    assert routing.show_confusion(grown, "router@1")["tasks"] == []


def test_of_many_tasks_those_mixed_up_most_are_shown(registry: Registry) -> None:
    names = [f"t{number:02}" for number in range(50)]
    for number, name in enumerate(names):
        add_expert(registry, name, number=number)
    facts = [fact for name in names[:-1] for fact in routed(name, 1, 1, 1, **{name: 39, names[-1]: 1})]
    add_generation(registry, *(f"{name}@1" for name in names), evaluations=tuple(facts))
    found = routing.show_confusion(registry)
    assert (len(found["tasks"]), found["all_tasks"]) == (routing.LARGEST, 49)
    assert found["tasks"] == names[: routing.LARGEST]
    assert found["rows"][0][:2] == [39, 0]
    # What went to tasks that are not shown is counted all the same.
    assert found["elsewhere"] == [1] * routing.LARGEST
    assert len(found["pairs"]) == 49


def test_forgetting_is_split_in_what_experts_and_what_routing_lost(grown: Registry) -> None:
    found = continual.show_matrix(grown)
    assert (found["generations"], found["tasks"]) == ([1, 2], ["sst2", "trec"])
    assert found["values"] == [[0.8, 0.7], [None, 0.6]]
    sst2, trec = found["per_task"]
    assert (sst2["learned_in"], sst2["learned"], sst2["now"], sst2["experts"]) == ("router@1", 0.8, 0.7, 0.0)
    assert sst2["routing"] == pytest.approx(-0.1)
    assert sst2["forgetting"] == pytest.approx(0.1)
    assert sst2["oracle_change"] == 0.0
    assert trec["routing"] == 0.0
    # Only sst2 was learned before router@2.
    assert found["total"]["tasks"] == 1
    assert found["total"]["routing"] == pytest.approx(-0.1)


def test_a_newer_version_is_a_new_start(grown: Registry) -> None:
    sst2, trec = continual.show_matrix(grown, "router@3")["per_task"]
    assert (sst2["expert"], sst2["learned_in"], sst2["routing"], sst2["forgetting"]) == (
        "sst2@2",
        "router@3",
        0,
        0,
    )
    assert trec["forgetting"] == pytest.approx(0.1)


def test_the_first_generation_of_a_task_counts_even_where_it_is_not_shown(grown: Registry) -> None:
    found = continual.show_matrix(grown, "router@2", generations=1)
    assert found["generations"] == [2]
    assert found["per_task"][0]["learned"] == 0.8


def test_pages_and_filters_of_the_matrix(grown: Registry) -> None:
    assert continual.show_matrix(grown, text="TRE")["tasks"] == ["trec"]
    assert continual.show_matrix(grown, tasks=1, offset=1)["tasks"] == ["trec"]
    beyond = continual.show_matrix(grown, offset=80)
    assert (beyond["tasks"], beyond["total"]["routing"]) == ([], None)


def test_every_digest_is_checked(grown: Registry) -> None:
    assert continual.check_digests(grown) == {
        "generation": "router@2",
        "root": grown.generation("router@2").root,
        "experts": 2,
        "identical": 2,
        "problems": [],
    }


def test_the_lineage_as_a_document(grown: Registry) -> None:
    found = lineage.show_lineage(grown, "sst2@1")
    assert found["root"] == "sst2@1"
    assert {"source": "router@1", "relation": "chooses among", "target": "sst2@1"} in found["edges"]
    assert found["tree"].startswith("sst2@1")
    assert lineage.address("sst2@1") == "/lineage/sst2@1.svg"


def test_the_data_card_counts_labels_and_lengths(registry: Registry) -> None:
    lines = [{"text": "ab", "label": "<b>", "split": "train"}] * 3 + [
        {"text": "abcdef", "label": "x", "split": "test"}
    ]
    registry.add_dataset(
        task="sst2",
        kind="classification",
        labels=("<b>", "x"),
        content="".join(json.dumps(line) + "\n" for line in lines).encode(),
        rows={"train": 3, "validation": 0, "test": 1},
        columns={"text": "sentence", "label": "label"},
        source="sst2.csv",
        findings=("few rows",),
    )
    found = rows.show_data(registry, "sst2")
    assert found["labels"] == [
        {"label": "<b>", "rows": 3, "share": 0.75},
        {"label": "x", "rows": 1, "share": 0.25},
    ]
    assert found["characters"] == {"shortest": 2, "median": 2.0, "mean": 3.0, "longest": 6}
    assert [row["label"] for row in found["examples"]] == ["<b>", "x", "<b>", "<b>"]
    assert (found["looked_at"], found["findings"]) == (4, ["few rows"])
