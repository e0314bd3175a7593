"""What came from what, in the three forms that it is shown in."""

import json
from dataclasses import replace

import pytest

from registry import Registry, combinations
from registry.errors import ConflictError, NotFoundError
from registry.lineage import COMBINED, Edge, Lineage, Node
from tests.registry.samples import BASE, RUN, add_expert, add_generation, payload


def short(registry: Registry, name: str) -> str:
    """The digest that a lineage shows of an expert or a generation."""
    if name.startswith("router"):
        return registry.generation(name).root[:12]
    return registry.expert(name).sha256[:12]


def test_an_experts_tree_shows_what_it_came_from_and_what_uses_it(filled: Registry) -> None:
    assert str(filled.lineage("sst2")) == "\n".join(
        [
            f"sst2@2  tt_lora, 10 parameters, {short(filled, 'sst2@2')}",
            "├── trained on sst2/data@2  200 train, 20 validation, 40 test rows",
            "├── made by run 3  seed 7, 1.5 s",
            f"├── runs on Tiny  llama, 2 layers, {BASE.fingerprint[:12]}",
            f"├── follows sst2@1  tt_lora, 10 parameters, {short(filled, 'sst2@1')}",
            "│   ├── trained on sst2/data@1  100 train, 20 validation, 40 test rows",
            "│   └── named sst2@stable",
            f"└── used by router@2  closed_form, 2 experts, {short(filled, 'router@2')}",
            "    └── named router@production",
        ]
    )


def test_a_generations_tree_shows_its_experts_in_slot_order(filled: Registry) -> None:
    assert filled.lineage("router@production").to_tree() == "\n".join(
        [
            f"router@2  closed_form, 2 experts, {short(filled, 'router@2')}",
            f"├── chooses among sst2@2  tt_lora, 10 parameters, {short(filled, 'sst2@2')}",
            "│   └── trained on sst2/data@2  200 train, 20 validation, 40 test rows",
            f"├── chooses among trec@1  tt_lora, 10 parameters, {short(filled, 'trec@1')}",
            "│   └── trained on trec/data@1  100 train, 20 validation, 40 test rows",
            "├── made by run 5  seed 7, 1.5 s",
            f"├── runs on Tiny  llama, 2 layers, {BASE.fingerprint[:12]}",
            "├── named router@production",
            f"└── follows router@1  closed_form, 1 expert, {short(filled, 'router@1')}",
        ]
    )


def test_the_json_holds_every_node_and_edge(filled: Registry) -> None:
    found = json.loads(filled.lineage("sst2@1").to_json())
    assert found == {
        "root": "sst2@1",
        "nodes": [
            {
                "id": "sst2@1",
                "kind": "expert",
                "label": "sst2@1",
                "note": f"tt_lora, 10 parameters, {short(filled, 'sst2@1')}",
            },
            {
                "id": "sst2/data@1",
                "kind": "dataset",
                "label": "sst2/data@1",
                "note": "100 train, 20 validation, 40 test rows",
            },
            {"id": "run 1", "kind": "run", "label": "run 1", "note": "seed 7, 1.5 s"},
            {
                "id": BASE.fingerprint,
                "kind": "base_model",
                "label": "Tiny",
                "note": f"llama, 2 layers, {BASE.fingerprint[:12]}",
            },
            {
                "id": "router@1",
                "kind": "generation",
                "label": "router@1",
                "note": f"closed_form, 1 expert, {short(filled, 'router@1')}",
            },
            {"id": "sst2@stable", "kind": "alias", "label": "sst2@stable", "note": ""},
        ],
        "edges": [
            {"source": "sst2@1", "target": "sst2/data@1", "relation": "trained on"},
            {"source": "sst2@1", "target": "run 1", "relation": "made by"},
            {"source": "sst2@1", "target": BASE.fingerprint, "relation": "runs on"},
            {"source": "router@1", "target": "sst2@1", "relation": "chooses among"},
            {"source": "sst2@stable", "target": "sst2@1", "relation": "stands for"},
        ],
    }


def test_mermaid_draws_an_arrow_for_every_edge(filled: Registry) -> None:
    assert filled.lineage("trec").to_mermaid() == "\n".join(
        [
            "flowchart LR",
            f'    n0["trec@1  tt_lora, 10 parameters, {short(filled, "trec@1")}"]',
            '    n1["trec/data@1  100 train, 20 validation, 40 test rows"]',
            '    n2["run 4  seed 7, 1.5 s"]',
            f'    n3["Tiny  llama, 2 layers, {BASE.fingerprint[:12]}"]',
            f'    n4["router@2  closed_form, 2 experts, {short(filled, "router@2")}"]',
            '    n5["router@production"]',
            '    n0 -->|"trained on"| n1',
            '    n0 -->|"made by"| n2',
            '    n0 -->|"runs on"| n3',
            '    n4 -->|"chooses among"| n0',
            '    n5 -->|"stands for"| n4',
        ]
    )


def test_mermaid_takes_any_label_as_text() -> None:
    node = Node(id="a", kind="base_model", label='x"]; click n0 <b>`#1|', note="")
    drawn = Lineage(root="a", nodes=(node,), edges=(Edge(source="a", target="a", relation="runs on"),))
    assert drawn.to_mermaid().splitlines()[1] == ('    n0["x#34;#93;#59; click n0 #60;b#62;#96;#35;1#124;"]')


def test_a_long_line_of_versions_stays_flat(registry: Registry) -> None:
    for number in range(30):
        add_expert(registry, number=number)
    lines = registry.lineage("sst2").to_tree().splitlines()
    assert [line.split()[2] for line in lines if "follows" in line] == [f"sst2@{n}" for n in range(29, 0, -1)]
    assert all(line.startswith(("├── ", "└── ")) for line in lines if "follows" in line)


def test_two_base_models_of_one_name_stay_two(registry: Registry) -> None:
    other = replace(BASE, fingerprint="0" * 64)
    add_expert(registry, "a")
    add_expert(registry, "a", base=other, number=1)
    assert [n.id for n in registry.lineage("a@1").nodes if n.kind == "base_model"] == [BASE.fingerprint]
    assert [n.id for n in registry.lineage("a@2").nodes if n.kind == "base_model"] == [other.fingerprint]


def test_the_parent_of_a_generation_is_shown_without_its_experts(registry: Registry) -> None:
    add_expert(registry, "a")
    for number in range(3):
        add_generation(registry, "a", number=number)
    edges = registry.lineage("router@3").edges
    assert ("router@3", "follows", "router@2") in [(e.source, e.relation, e.target) for e in edges]
    assert not [edge for edge in edges if edge.source == "router@2"]


def test_an_expert_combined_from_others_shows_them_and_they_show_it(filled: Registry) -> None:
    add_expert(filled, "mixed", combined_from={"sst2@1": 1.0, "trec@1": -0.5})
    add_expert(filled, "again", number=9, combined_from={"mixed@1": 0.25})
    assert combinations.parts_of(filled, filled.expert("mixed")) == {"sst2@1": 1.0, "trec@1": -0.5}
    assert combinations.parts_of(filled, filled.expert("trec")) == {}
    lineage = filled.lineage("again")
    assert [(edge.source, edge.target) for edge in lineage.edges if edge.relation == COMBINED] == [
        ("again@1", "mixed@1"),
        ("mixed@1", "sst2@1"),
        ("mixed@1", "trec@1"),
    ]
    tree = str(lineage).splitlines()
    assert tree[1] == "├── trained on again/data@1  100 train, 20 validation, 40 test rows"
    assert tree[2] == f"├── combined from mixed@1  tt_lora, 10 parameters, {short(filled, 'mixed@1')}"
    assert tree[4] == f"│   ├── combined from sst2@1  tt_lora, 10 parameters, {short(filled, 'sst2@1')}"
    assert [line for line in str(filled.lineage("trec@1")).splitlines() if "used by" in line] == [
        f"├── used by mixed@1  tt_lora, 10 parameters, {short(filled, 'mixed@1')}",
        f"└── used by router@2  closed_form, 2 experts, {short(filled, 'router@2')}",
    ]


def test_an_expert_is_combined_from_those_that_there_are_on_its_own_base_model(filled: Registry) -> None:
    before = filled.experts(all_versions=True)
    with pytest.raises(NotFoundError, match="There is no expert 'sst2@9': sst2 has versions 1 to 2"):
        add_expert(filled, "mixed", combined_from={"sst2@9": 1.0})
    other = replace(BASE, fingerprint="0" * 64)
    with pytest.raises(ConflictError, match="sst2@1 stands on another base model: combine experts of one"):
        add_expert(filled, "mixed", base=other, combined_from={"sst2@1": 1.0})
    assert filled.experts(all_versions=True) == before


def test_a_generation_names_the_rows_it_learnt_from_that_are_no_dataset(filled: Registry) -> None:
    corpus = {"source": "a\nb\x1b.csv", "sha256": "ab" * 32, "rows": {"train": 1200, "validation": 90}}
    made = filled.add_generation(
        router="soft_token",
        config={},
        base_model=BASE.fingerprint,
        experts=["sst2@2", "trec@1"],
        parameters=4,
        payload=payload(9),
        run=replace(RUN, settings={"corpus": corpus}),
    )
    graph = filled.lineage(made.name)
    [node] = [node for node in graph.nodes if node.kind == "corpus"]
    run = f"run {made.run}"
    assert node == Node(
        id=f"{run}/corpus",
        kind="corpus",
        label="a\ufffdb\ufffd.csv",
        note="1,200 train, 90 validation rows, abababababab",
    )
    assert Edge(source=made.name, target=node.id, relation="trained on") in graph.edges
    lines = graph.to_tree().split("\n")
    before = lines.index(f"├── made by {run}  seed 7, 1.5 s")
    assert lines[before + 1] == f"├── trained on {node.label}  {node.note}"
    assert "corpus" not in {one.kind for one in filled.lineage("router@2").nodes}
