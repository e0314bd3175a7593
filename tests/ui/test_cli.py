"""Adding, routing, predicting, measuring for real with a tiny model: JSON shapes whole, and text."""

import re
from pathlib import Path

import pytest

from tests.ui.commands import (
    ACCURACY,
    DIGEST,
    METRICS,
    ROUTING,
    ROWS,
    Command,
    Trained,
    assert_shape,
    run,
)


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


def test_several_files_are_one_job_that_tells_what_it_made_of_each(
    home: Path, trained: Trained, tiny_llama_folder: Path
) -> None:
    files = [word for file in trained.files.values() for word in ("--data", str(file))]
    common = ("--base-model", str(tiny_llama_folder), "--device", "cpu", "--epochs", "2")
    assert run(home, "add-task", *files, *common, "--detach", "--json").json == {"job": 1}
    assert run(home, "worker", "--drain").code == 0
    made = run(home, "jobs", "watch", "1", "--json").json
    assert [one["expert"] for one in made["added"]] == ["mood@1", "topic@1"]
    for one in made["added"]:
        assert one.keys() == trained.added[one["task"]].keys()
        assert one["sha256"] == trained.added[one["task"]]["sha256"]
    assert re.search(r"^ *made +mood@1, topic@1$", run(home, "jobs", "show", "1").out, re.MULTILINE)
    again = run(home, "add-task", *files, *common)
    assert again.out.count("Nothing to do: these rows with these settings are") == 2
    assert again.err.count("registry retrain-router") == 1


@pytest.mark.parametrize("option", ["--name", "--validation", "--test"])
def test_what_is_said_of_one_file_is_refused_for_several(home: Path, option: str) -> None:
    refused = run(home, "add-task", "--data", "a.csv", "--data", "b.csv", option, "other")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        f"Error: {option} other is for one file, and --data names several: add that one on its own\n"
    )


def test_retrain_router_tells_what_it_made(trained: Trained) -> None:
    shape = {
        "generation": "router@1",
        "router": str,
        "fit": {"kind": str, "coverage": 0.98, "threshold": None, "rows": int},
        "created": True,
        "experts": ["mood@1", "topic@1"],
        "metrics": {"validation": ROUTING, "test": ROUTING},
        "per_task": {"mood": ROUTING, "topic": ROUTING},
        "candidates": {"closed_form": float, "late_fusion": float, "trigrams": float},
        "confusion": {"mood": dict, "topic": dict},
        "promoted": True,
        "refused": False,
        "gate": {
            "passed": True,
            "against": None,
            "tolerance": 1.0,
            "level": 0.1,
            "tasks": [],
            "together": None,
            "problem": None,
            "failed": [],
        },
        "left_out": [],
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
        "value": None,
        "index": None,
        "score": float,
        "threshold": None,
        "reason": None,
        "mixed": {},
        "base_model": None,
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


def test_evaluate_measures_experts_and_generations(registry_command: Command, trained: Trained) -> None:
    of_expert = registry_command("evaluate", "mood@1", "--device", "cpu", "--json").json
    shape = {
        "subject": "mood@1",
        "metrics": ACCURACY,
        "split": "test",
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
