"""The commands that look at a home and move its names: JSON shapes whole, and text."""

from pathlib import Path
from typing import Any

import pytest

from tests.ui.commands import DIGEST, METRICS, ROUTING, ROWS, TIME, Command, Trained, assert_shape


def expert(task: str) -> dict[str, Any]:
    return {
        "expert": f"{task}@1",
        "task": task,
        "version": 1,
        "kind": "classification",
        "adapter": "tt_lora",
        "parameters": int,
        "sha256": DIGEST,
        "metrics": METRICS,
        "retired": None,
    }


def test_lists_as_json(registry_command: Command) -> None:
    assert_shape(registry_command("experts", "--json").json, [expert("mood"), expert("topic")])
    task = {
        "task": "mood",
        "kind": "classification",
        "labels": ["bad", "good"],
        "dataset": "mood/data@1",
        "rows": ROWS,
        "expert": "mood@1",
        "retired": None,
    }
    assert_shape(registry_command("tasks", "--json").json[0], task)
    generation = {
        "generation": "router@1",
        "router": str,
        "experts": ["mood@1", "topic@1"],
        "parameters": int,
        "sha256": DIGEST,
        "metrics": {"validation": ROUTING, "test": ROUTING},
        "aliases": ["router@candidate", "router@production"],
    }
    assert_shape(registry_command("routers", "--json").json, [generation])


@pytest.mark.parametrize(
    ("command", "header"),
    [
        ("tasks", ["task", "kind", "labels", "train", "validation", "test", "expert", "retired"]),
        ("experts", ["expert", "kind", "adapter", "parameters", "validation", "test", "created", "retired"]),
        (
            "routers",
            ["generation", "router", "experts", "parameters", "routing", "routed", "alias", "created"],
        ),
        ("alias", ["alias", "target", "moved"]),
        ("history", ["when", "what", "target", "before", "by", "gate", "reason"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_lists_as_tables(registry_command: Command, command: str, header: list[str]) -> None:
    lines = registry_command(command).out.splitlines()
    assert lines[0].split() == header
    assert len(lines) >= 2


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("tasks", "No tasks yet. Add one: registry add-task --data examples/sentiment.csv"),
        ("experts", "No experts yet. Add one: registry add-task --data examples/sentiment.csv"),
        ("routers", "No router generations yet. Fit one: registry retrain-router"),
        ("alias", "No aliases yet. registry retrain-router makes the first, router@production."),
        ("verify", "Everything is as it was stored."),
    ],
    ids=lambda value: value.split()[0],
)
def test_an_empty_home_tells_what_to_do_first(empty_command: Command, command: str, line: str) -> None:
    assert empty_command(command).out == line + "\n"
    assert empty_command(command, "--json").json == []


def test_show_knows_tasks_experts_and_generations(registry_command: Command) -> None:
    shown = {name: registry_command("show", name, "--json").json for name in ("mood", "mood@1", "router@1")}
    assert [card["is"] for card in shown.values()] == ["task", "expert", "generation"]
    assert [card["name"] for card in shown.values()] == ["mood", "mood@1", "router@1"]
    assert shown["mood"]["experts"] == ["mood@1"]
    assert shown["mood@1"]["base_model"].startswith("tiny-llama")
    assert shown["router@1"]["aliases"] == ["router@candidate", "router@production"]
    assert registry_command("show", "production", "--json").json == shown["router@1"]
    assert registry_command("show", "mood@1").out.startswith("mood@1 (expert)\n")


def test_lineage_in_three_forms(registry_command: Command) -> None:
    tree = registry_command("lineage", "mood").out
    assert tree.startswith("mood@1")
    assert "mood/data@1" in tree
    assert "router@1" in tree
    graph = registry_command("lineage", "mood@1", "--format", "json").json
    assert list(graph) == ["root", "nodes", "edges"]
    assert graph == registry_command("lineage", "mood@1", "--json").json
    assert registry_command("lineage", "router@1", "--format", "mermaid").out.startswith("flowchart")


def test_an_alias_moves_and_comes_back_and_every_move_is_told(registry_command: Command) -> None:
    registry_command("retrain-router", "--router", "lexical", "--no-promote", "--device", "cpu")
    assert registry_command("predict", "a text", "--json").json[0]["generation"] == "router@1"
    moved = registry_command("promote", "router@2", "--reason", "a try", "--json").json
    assert_shape(moved, {"alias": "router@production", "target": "router@2", "moved_at": TIME})
    assert registry_command("predict", "a text", "--json").json[0]["generation"] == "router@2"
    assert registry_command("rollback").out == "router@production is now router@1.\n"
    events = registry_command("history", "--json").json
    assert [(e["action"], e["target"], e["previous"], e["reason"]) for e in events] == [
        ("rollback", "router@1", "router@2", ""),
        ("promote", "router@2", "router@1", "a try"),
        ("promote", "router@1", None, events[2]["reason"]),
    ]
    keys = ["alias", "action", "target", "previous", "reason", "actor", "created_at", "gate"]
    assert all(list(event) == keys for event in events)


def test_an_expert_gets_an_alias_and_loses_it(registry_command: Command) -> None:
    assert registry_command("alias", "mood@stable", "mood@1").out == "mood@stable is now mood@1.\n"
    named = registry_command("predict", "fine", "--expert", "mood@stable", "--json").json
    assert named[0]["expert"] == "mood@1"
    removed = registry_command("alias", "mood@stable", "--remove", "--json").json
    assert_shape(removed, {"alias": "mood@stable", "target": None, "moved_at": TIME})
    assert registry_command("alias", "mood@stable", "mood@1").code == 0
    assert registry_command("alias", "mood@stable", "--remove").out == "mood@stable is no alias any more.\n"
    assert [one["alias"] for one in registry_command("alias", "--json").json] == [
        "router@candidate",
        "router@production",
    ]


def test_verify_finds_a_flipped_bit(registry_command: Command, trained: Trained) -> None:
    assert registry_command("verify", "--json").json == []
    assert registry_command("verify", "mood@1").out == "mood@1 is as it was stored.\n"
    home = Path(registry_command("path", "home").out.strip())
    digest = trained.added["mood"]["sha256"]
    [blob] = (home / "blobs").rglob(f"*{digest[2:]}*")
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.chmod(0o600)
    blob.write_bytes(content)
    outcome = registry_command("verify")
    assert outcome.code == 1
    assert "mood@1" in outcome.out
    used = registry_command("predict", "a text", "--expert", "mood@1")
    assert (used.code, used.out) == (1, "")
    assert used.err.count("Error: ") == 1


def test_path_prints_places_and_makes_nothing(empty_command: Command, tmp_path: Path) -> None:
    home = tmp_path / "new"
    places = {
        "home": home,
        "database": home / "registry.db",
        "blobs": home / "blobs",
        "cache": home / "cache",
    }
    assert empty_command("path", "--json").json == {name: str(place) for name, place in places.items()}
    assert empty_command("path", "database").out == f"{home / 'registry.db'}\n"
    assert not home.exists()


def test_doctor_looks_at_everything_and_makes_nothing(empty_command: Command, tmp_path: Path) -> None:
    checks = empty_command("doctor", "--json").json
    assert all(list(check) == ["check", "state", "value", "advice"] for check in checks)
    assert {check["state"] for check in checks} <= {"ok", "note"}
    names = {check["check"] for check in checks}
    assert {"sqlite", "home", "permissions", "file system", "free space", "registry", "device"} <= names
    assert not (tmp_path / "new").exists()


def test_doctor_says_when_something_is_wrong(registry_command: Command) -> None:
    home = Path(registry_command("path", "home").out.strip())
    (home / "registry.db").write_bytes(b"not a database at all" * 100)
    outcome = registry_command("doctor")
    assert outcome.code == 1
    assert "wrong" in outcome.out


def test_migrating_what_is_up_to_date_changes_nothing(registry_command: Command) -> None:
    assert registry_command("migrate").out == "The database is up to date.\n"
    assert registry_command("migrate", "--json").json == {"backup": None}
