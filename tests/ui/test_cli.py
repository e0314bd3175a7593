"""Every command for real, in a home made by the commands, with a tiny model: JSON shapes whole, and text."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.ui.commands import Command, Trained

ACCURACY = {"accuracy": float}
METRICS = {"validation": ACCURACY, "test": ACCURACY}
ROUTING = {"routing_accuracy": float, "routed_accuracy": float, "oracle_accuracy": float}
ROWS = {"train": int, "validation": int, "test": int}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*\+00:00")
DIGEST = re.compile(r"[0-9a-f]{64}")


def assert_shape(value: Any, shape: Any, where: str = "") -> None:
    """Every key, no more and no fewer; types, exact values, or patterns of text at the leaves."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), where
        assert list(value) == list(shape), where
        for key, inner in shape.items():
            assert_shape(value[key], inner, f"{where}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        assert len(value) == len(shape), where
        for index, inner in enumerate(shape):
            assert_shape(value[index], inner, f"{where}[{index}]")
    elif isinstance(shape, re.Pattern):
        assert shape.fullmatch(value), f"{where}: {value!r}"
    elif isinstance(shape, type):
        assert type(value) is shape, f"{where}: {value!r}"
    else:
        assert value == shape, where


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
    }


def test_add_task_tells_what_it_made(trained: Trained) -> None:
    shape = {
        "task": "mood",
        "kind": "classification",
        "expert": "mood@1",
        "created": True,
        "parameters": int,
        "sha256": DIGEST,
        "rows": ROWS,
        "metrics": METRICS,
        "findings": list,
        "seconds": float,
    }
    assert_shape(trained.added["mood"], shape)
    assert sum(trained.added["mood"]["rows"].values()) == 120


def test_retrain_router_tells_what_it_made(trained: Trained) -> None:
    shape = {
        "generation": "router@1",
        "router": str,
        "created": True,
        "experts": ["mood@1", "topic@1"],
        "metrics": {"validation": ROUTING, "test": ROUTING},
        "per_task": {"mood": ROUTING, "topic": ROUTING},
        "candidates": {"closed_form": float, "lexical": float, "noisy_top1": float},
        "confusion": {"mood": dict, "topic": dict},
        "seconds": float,
    }
    assert_shape(trained.router, shape)


def test_the_same_rows_with_the_same_settings_are_nothing_to_do(
    registry_command: Command, trained: Trained, tiny_llama_folder: Path
) -> None:
    common = ("--base-model", str(tiny_llama_folder), "--device", "cpu", "--epochs", "2")
    again = registry_command("add-task", "--data", str(trained.files["mood"]), *common)
    assert again.code == 0
    assert again.out.startswith("Nothing to do: these rows with these settings are mood@1.")
    as_json = registry_command("add-task", "--data", str(trained.files["mood"]), *common, "--json").json
    assert (as_json["created"], as_json["expert"]) == (False, "mood@1")
    assert as_json["sha256"] == trained.added["mood"]["sha256"]
    assert as_json["metrics"] == trained.added["mood"]["metrics"]


def test_other_settings_make_the_next_version_and_leave_the_first_as_it_is(
    registry_command: Command, trained: Trained, tiny_llama_folder: Path
) -> None:
    options = (
        "--base-model",
        str(tiny_llama_folder),
        "--epochs",
        "1",
        "--rank",
        "2",
        "--seed",
        "7",
        "--json",
    )
    added = registry_command("add-task", "--data", str(trained.files["mood"]), *options).json
    assert (added["expert"], added["created"]) == ("mood@2", True)
    listed = registry_command("experts", "--all", "--task", "mood", "--json").json
    assert [one["expert"] for one in listed] == ["mood@1", "mood@2"]
    assert listed[0]["sha256"] == trained.added["mood"]["sha256"]
    differences = registry_command("diff", "mood@1", "mood@2", "--json").json
    assert_shape(differences, {"a": "mood@1", "b": "mood@2", "differences": dict})
    assert {"parameters", "sha256"} <= set(differences["differences"])
    assert "dataset" not in differences["differences"]
    assert "mood@2" in registry_command("diff", "mood@1", "mood@2").out


def test_predict_answers_in_the_order_of_the_input(registry_command: Command) -> None:
    texts = ["Who made this garden?", "The film was awful.", "Who made this garden?"]
    answers = registry_command("predict", *texts, "--json").json
    shape = {
        "text": str,
        "task": str,
        "expert": str,
        "label": str,
        "probability": float,
        "probabilities": dict,
        "weights": {"mood": float, "topic": float},
        "generation": "router@1",
        "cut": False,
    }
    for text, answer in zip(texts, answers, strict=True):
        assert_shape(answer, shape)
        assert answer["text"] == text
        assert answer["expert"] == f"{answer['task']}@1"
        assert answer["probability"] == answer["probabilities"][answer["label"]]
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert sum(answer["weights"].values()) == pytest.approx(1, abs=1e-5)
    assert answers[0] == answers[2]


def test_texts_from_arguments_stdin_and_a_file_get_the_same_answers(
    registry_command: Command, tmp_path: Path
) -> None:
    texts = ["The soup was bleak.", "When was the game?"]
    (tmp_path / "texts.csv").write_text("sentence,other\n" + "".join(f"{t},x\n" for t in texts))
    from_arguments = registry_command("predict", *texts, "--json").json
    from_stdin = registry_command("predict", "-", "--json", stdin="\n".join(texts) + "\n\n").json
    from_file = registry_command(
        "predict", "--data", str(tmp_path / "texts.csv"), "--text", "sentence", "--json"
    ).json
    assert from_arguments == from_stdin == from_file


def test_no_text_on_stdin_is_an_empty_list(registry_command: Command) -> None:
    assert registry_command("predict", "-", "--json", stdin="").json == []


def test_an_expert_can_be_asked_alone(registry_command: Command) -> None:
    [answer] = registry_command("predict", "The film was awful.", "--expert", "topic@1", "--json").json
    assert (answer["task"], answer["expert"], answer["generation"]) == ("topic", "topic@1", None)
    assert answer["label"] in ("place", "person", "time")


def test_predictions_as_text_name_label_probability_and_expert(registry_command: Command) -> None:
    outcome = registry_command("predict", "The film was awful.", "--router", "router@1")
    first, second, *_ = outcome.out.splitlines()
    assert first == "The film was awful."
    assert re.fullmatch(r"  \w+  [█░]{20} [01]\.\d\d  by (mood|topic)@1", second)


def test_lists_as_json(registry_command: Command) -> None:
    assert_shape(registry_command("experts", "--json").json, [expert("mood"), expert("topic")])
    task = {
        "task": "mood",
        "kind": "classification",
        "labels": ["bad", "good"],
        "dataset": "mood/data@1",
        "rows": ROWS,
        "expert": "mood@1",
    }
    assert_shape(registry_command("tasks", "--json").json[0], task)
    generation = {
        "generation": "router@1",
        "router": str,
        "experts": ["mood@1", "topic@1"],
        "parameters": int,
        "sha256": DIGEST,
        "metrics": {"validation": ROUTING, "test": ROUTING},
        "aliases": ["router@production"],
    }
    assert_shape(registry_command("routers", "--json").json, [generation])


@pytest.mark.parametrize(
    ("command", "header"),
    [
        ("tasks", ["task", "kind", "labels", "train", "validation", "test", "expert"]),
        ("experts", ["expert", "kind", "adapter", "parameters", "validation", "test", "created"]),
        (
            "routers",
            ["generation", "router", "experts", "parameters", "routing", "routed", "alias", "created"],
        ),
        ("alias", ["alias", "target", "moved"]),
        ("history", ["when", "what", "target", "before", "by", "reason"]),
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
    assert shown["router@1"]["aliases"] == ["router@production"]
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
    keys = ["alias", "action", "target", "previous", "reason", "actor", "created_at"]
    assert all(list(event) == keys for event in events)


def test_an_expert_gets_an_alias_and_loses_it(registry_command: Command) -> None:
    assert registry_command("alias", "mood@stable", "mood@1").out == "mood@stable is now mood@1.\n"
    named = registry_command("predict", "fine", "--expert", "mood@stable", "--json").json
    assert named[0]["expert"] == "mood@1"
    assert registry_command("alias", "mood@stable", "--remove").code == 0
    assert [one["alias"] for one in registry_command("alias", "--json").json] == ["router@production"]


def test_evaluate_measures_experts_and_generations(registry_command: Command, trained: Trained) -> None:
    of_expert = registry_command("evaluate", "mood@1", "--device", "cpu", "--json").json
    shape = {
        "subject": "mood@1",
        "metrics": ACCURACY,
        "examples": trained.added["mood"]["rows"]["test"],
        "per_task": None,
        "confusion": None,
    }
    assert_shape(of_expert, shape)
    assert of_expert["metrics"]["accuracy"] == trained.added["mood"]["metrics"]["test"]["accuracy"]
    of_router = registry_command("evaluate", "--device", "cpu", "--json").json
    assert of_router["subject"] == "router@1"
    assert of_router["metrics"] == trained.router["metrics"]["test"]
    assert of_router["confusion"] == trained.router["confusion"]
    assert "router@1 on" in registry_command("evaluate", "--device", "cpu").out


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
