"""Every bad input: one line on stderr, the right exit code, nothing on stdout, nothing half-made."""

import shutil
from pathlib import Path

import click
import pytest

from registry import Registry
from tests.tiny_models import tiny_llama
from tests.ui.commands import Command, Trained, assert_refused, home_of, mood_rows, run, write_csv
from ui.cli import cli


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (("show", "mod"), "'mood'"),
        (("show", "mood@9"), "mood@9"),
        (("show", "router@9"), "router@9"),
        (("lineage", "topc"), "'topic'"),
        (("lineage", "mood@stable"), "mood@stable"),
        (("diff", "mood@1", "mood@2"), "mood@2"),
        (("experts", "--task", "mod"), "'mood'"),
        (("promote", "router@9"), "router@9"),
        (("promote", "mood@7"), "mood@7"),
        (("history", "producton"), "'router@production'"),
        (("alias", "nothing", "--remove"), "nothing"),
        (("verify", "mod@1"), "'mood'"),
        (("evaluate", "mod"), "'mood'"),
        (("predict", "a text", "--expert", "mod"), "'mood'"),
        (("predict", "a text", "--router", "router@9"), "router@9"),
        (("predict", "--data", "/nowhere/texts.csv"), "/nowhere/texts.csv"),
        (("add-task", "--data", "/nowhere/rows.csv"), "/nowhere/rows.csv"),
        (("retrain-router", "--router", "closed_from"), "'closed_form'"),
        (("retrain-router", "--expert", "mod"), "'mood'"),
    ],
    ids=lambda value: " ".join(value).replace("/", "-") if isinstance(value, tuple) else "",
)
def test_an_unknown_name_is_3_and_the_nearest_is_suggested(
    registry_command: Command, arguments: tuple[str, ...], near: str
) -> None:
    assert_refused(registry_command(*arguments), 3, near)


@pytest.mark.parametrize(
    ("options", "near"),
    [
        (("--text", "txt"), "'text'"),
        (("--label", "lable"), "'label'"),
        (("--text-pair", "pair"), "pair"),
        (("--adapter", "ttlora"), "'tt_lora'"),
        (("--preset", "papr"), "'paper'"),
        (("--kind", "clasification"), "'classification'"),
        (("--base-model", "minilm"), "'minilm-l6'"),
        (("--base-model", "/nowhere/model"), "/nowhere/model"),
        (("--validation", "/nowhere/more.csv"), "/nowhere/more.csv"),
    ],
    ids=lambda value: " ".join(value).replace("/", "-") if isinstance(value, tuple) else "",
)
def test_an_unknown_column_kind_or_model_is_3_and_the_nearest_is_suggested(
    registry_command: Command,
    trained: Trained,
    tiny_llama_folder: Path,
    options: tuple[str, str],
    near: str,
) -> None:
    model = () if "--base-model" in options else ("--base-model", str(tiny_llama_folder))
    arguments = ("add-task", "--data", str(trained.files["mood"]), "--name", "other", *model, *options)
    assert_refused(registry_command(*arguments), 3, near)
    assert [task["task"] for task in registry_command("tasks", "--json").json] == ["mood", "topic"]


NUMBERS = [
    (name, option.opts[0])
    for name, command in cli.commands.items()
    for option in command.params
    if isinstance(option.type, click.types.FloatParamType)
]


def test_the_commands_take_these_numbers() -> None:
    assert NUMBERS == [
        ("add-task", "--alpha"),
        ("add-task", "--learning-rate"),
        ("add-task", "--head-learning-rate"),
        ("retrain-router", "--coverage"),
        ("retrain-router", "--tolerance"),
        ("train-mixture", "--balance"),
        ("train-mixture", "--gate-learning-rate"),
        ("train-mixture", "--learning-rate"),
        ("train-mixture", "--head-learning-rate"),
        ("predict", "--temperature"),
        ("predict", "--top-p"),
        ("worker", "--lease"),
        ("gc", "--grace"),
    ]


@pytest.mark.parametrize(("command", "option"), NUMBERS)
@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999", "-1", "one"])
def test_a_number_that_is_none_is_2(empty_command: Command, command: str, option: str, number: str) -> None:
    data = ("--data", "rows.csv") if command == "add-task" else ()
    assert_refused(empty_command(command, *data, option, number), 2, f"'{option}'")


@pytest.mark.parametrize(
    "options",
    [
        ("--rank", "1000"),
        ("--device", "tpu"),
        ("--max-length", "100000"),
        ("--first-layer", "99"),
        ("--name", "Not A Name!"),
        ("--name", "router"),
        ("--learning-rate", "nan"),
        ("--learning-rate", "-1"),
        ("--alpha", "inf"),
    ],
    ids=" ".join,
)
def test_a_setting_outside_what_is_allowed_is_2(
    registry_command: Command, trained: Trained, tiny_llama_folder: Path, options: tuple[str, str]
) -> None:
    base = ("--base-model", str(tiny_llama_folder), "--epochs", "1")
    outcome = registry_command("add-task", "--data", str(trained.files["mood"]), *base, *options)
    assert_refused(outcome, 2, options[1])
    assert len(registry_command("experts", "--all", "--json").json) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no rows"),
        (b"text,label\n", "no rows"),
        (b"text,label\nfine,a\ngood,a\n", "label"),
        (b"text,label\nfine,a,extra\ngood,b\n", "2"),
        (b"text,label\nfine\ngood,b\n", "2"),
        (b'text,label\n"fine,a\ngood,b\n', "quote"),
        (b"text,label\nfi\xffne,a\ngood,b\n", "UTF-8"),
        (b"text,label\nfi\0ne,a\ngood,b\n", "NUL"),
        (b"text,text,label\nx,fine,a\ny,good,b\n", "text"),
        (b"words,more\nfine,a\ngood,b\n", "text"),
    ],
    ids=[
        "empty",
        "header alone",
        "one class",
        "long row",
        "short row",
        "quote",
        "latin",
        "nul",
        "twice",
        "names",
    ],
)
def test_a_file_that_cannot_be_taken_as_written_is_5(
    registry_command: Command, tiny_llama_folder: Path, tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    outcome = registry_command("add-task", "--data", str(path), "--base-model", str(tiny_llama_folder))
    assert_refused(outcome, 5, "bad.csv", words)
    assert [task["task"] for task in registry_command("tasks", "--json").json] == ["mood", "topic"]


def test_a_label_that_training_never_sees_is_5(
    registry_command: Command, trained: Trained, tiny_llama_folder: Path, tmp_path: Path
) -> None:
    test = write_csv(tmp_path / "test.csv", [("The bridge was fine.", "good"), ("So so.", "mixed")])
    arguments = ("--data", str(trained.files["mood"]), "--test", str(test), "--name", "other")
    outcome = registry_command("add-task", *arguments, "--base-model", str(tiny_llama_folder))
    assert_refused(outcome, 5, "mixed")


def test_a_task_of_another_kind_under_that_name_is_4(
    registry_command: Command, trained: Trained, tiny_llama_folder: Path
) -> None:
    with Registry(home_of(registry_command)) as registry:
        facts = {
            "labels": (),
            "content": b"rows",
            "rows": {},
            "columns": {},
            "source": "a file",
            "findings": (),
        }
        registry.add_dataset(task="price", kind="regression", **facts)
    arguments = ("--data", str(trained.files["mood"]), "--name", "price")
    outcome = registry_command("add-task", *arguments, "--base-model", str(tiny_llama_folder))
    assert_refused(outcome, 4, "price", "regression")


def test_a_base_model_that_has_changed_is_4(tmp_path: Path) -> None:
    model = tiny_llama(tmp_path / "model")
    rows = write_csv(tmp_path / "mood.csv", mood_rows())
    home = tmp_path / "home"
    added = run(home, "add-task", "--data", str(rows), "--base-model", str(model), "--epochs", "1")
    assert added.code == 0, added.err
    shutil.rmtree(model)
    tiny_llama(model, seed=1)
    assert_refused(run(home, "predict", "a text", "--expert", "mood"), 4, "model")


def test_experts_of_two_base_models_have_no_common_router(
    registry_command: Command, trained: Trained, tiny_bert_folder: Path
) -> None:
    arguments = ("--data", str(trained.files["mood"]), "--name", "third", "--epochs", "1")
    added = registry_command("add-task", *arguments, "--base-model", str(tiny_bert_folder))
    assert added.code == 0, added.err
    assert_refused(registry_command("retrain-router"), 4, "third@1")
    assert len(registry_command("routers", "--json").json) == 1


def test_without_a_router_predict_says_what_to_run(tmp_path: Path) -> None:
    assert_refused(run(tmp_path / "new", "predict", "a text"), 3, "retrain-router")
    assert_refused(run(tmp_path / "new", "retrain-router"), 3, "add-task")


def test_a_text_that_is_not_utf8_is_2(registry_command: Command) -> None:
    assert_refused(registry_command("predict", "caf\udce9"), 2, "UTF-8")
