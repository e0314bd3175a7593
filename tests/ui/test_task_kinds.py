"""Tasks of every kind on the command line and in what the browser shows of them."""

import shutil
from pathlib import Path

import pytest

from registry import Registry
from tests.trainer.tasks.samples import FILES, write
from tests.ui.commands import Command, assert_refused, run
from trainer import MoE
from trainer.inputs import Input
from ui.views import continual, playground, routers

KINDS = {
    "multi_label": ("--kind", "multi_label"),
    "multiple_choice": (),
    "regression": (),
    "text_generation": ("--template", r"{text}\n\n", "--max-target", "40"),
}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, tiny_llama_folder: Path) -> Path:
    """A home with a task of each kind but classification, and a router."""
    folder = tmp_path_factory.mktemp("mixed")
    for kind, options in KINDS.items():
        common = ("--base-model", str(tiny_llama_folder), "--epochs", "2", "--device", "cpu")
        done = run(folder / "home", "add-task", "--data", str(write(folder, kind)), *options, *common)
        assert done.code == 0, done.err
        assert f"kind        {kind}\n" in done.out
        assert ("  labels " in done.out) == (kind == "multi_label")
    assert run(folder / "home", "retrain-router", "--router", "closed_form", "--device", "cpu").code == 0
    return folder / "home"


@pytest.fixture
def command(mixed: Path, tmp_path: Path) -> Command:
    home = shutil.copytree(mixed, tmp_path / "copy")
    return lambda *arguments, stdin=None: run(home, *arguments, stdin=stdin)


def test_a_choice_is_answered_with_its_text_and_number(command: Command) -> None:
    choices = ("the film is red", "a cloud", "a river")
    words = [word for choice in choices for word in ("--choice", choice)]
    [answer] = command("predict", "Which one is red?", *words, "--json").json
    assert (answer["task"], answer["value"]) == ("multiple_choice", None)
    assert choices[answer["index"]] == answer["label"]
    assert [*answer["probabilities"]] == [*choices]
    assert answer["probability"] == max(answer["probabilities"].values())
    shown = command("predict", "Which one is red?", *words).out
    assert f"  {answer['label']}  " in shown


def test_a_number_is_answered_without_a_probability(command: Command) -> None:
    [answer] = command("predict", "The big film was fair.", "--expert", "regression", "--json").json
    assert answer["label"] == f"{answer['value']:.6g}"
    assert (answer["probability"], answer["probabilities"], answer["index"]) == (None, {}, None)
    shown = command("predict", "The big film was fair.", "--expert", "regression").out
    assert f"  {answer['label']}  by regression@1\n" in shown


def test_a_text_is_written(command: Command) -> None:
    asked = ("predict", "Say it of the film: red.", "--expert", "text_generation")
    [answer] = command(*asked, "--json").json
    assert (answer["probability"], answer["probabilities"], answer["value"]) == (None, {}, None)
    shown = command(*asked).out
    assert f"  by {answer['expert']}\n" in shown
    drawn = ("--temperature", "2", "--top-p", "0.9", "--max-new-tokens", "5", "--json")
    first, again, other = (
        command(*asked, *drawn, "--seed", seed).json[0]["label"] for seed in ("1", "1", "2")
    )
    assert first == again != other
    assert command("predict", "Say it of the film: red.", *drawn).json[0]["task"] == "text_generation"


def test_how_texts_are_written_is_refused_in_one_line(command: Command, tmp_path: Path) -> None:
    asked = ("predict", "Say it of the film: red.")
    for given, said in (
        (("--temperature", "-1"), "'--temperature': -1.0 is not in the range x>=0"),
        (("--temperature", "11"), "temperature 11 must be from 0 to 10"),
        (("--temperature", "1", "--top-p", "0"), "'--top-p': 0.0 is not in the range 0<x<=1"),
        (("--top-p", "0.5"), "top-p 0.5 needs a temperature above 0: without one nothing is drawn"),
        (("--max-new-tokens", "0"), "max new tokens 0 must be from 1 to 4,096"),
        (("--choice", "a", "--choice", "b", "--expert", "text_generation"), "does not take choices"),
    ):
        assert_refused(command(*asked, *given), 2, said)
    path = str(write(tmp_path, "text_generation"))
    for template, said in (("no place", "has no {text}"), ("{text}{pair}", "rows have no second text")):
        refused = command("add-task", "--data", path, "--name", "other", "--template", template)
        assert_refused(refused, 2, said)
    of_numbers = ("add-task", "--data", str(write(tmp_path, "regression")), "--name", "other")
    assert_refused(
        command(*of_numbers, "--template", "{text}"), 2, "a template is for tasks whose answers are written"
    )


def test_a_task_to_write_needs_a_decoder(command: Command, tmp_path: Path, tiny_bert_folder: Path) -> None:
    path = str(write(tmp_path, "text_generation"))
    refused = command("add-task", "--data", path, "--name", "other", "--base-model", str(tiny_bert_folder))
    assert_refused(refused, 2, "text_generation needs a decoder, and ")


def test_files_with_choices_are_answered(command: Command, tmp_path: Path) -> None:
    answers = command("predict", "--data", str(write(tmp_path, "multiple_choice")), "--json").json
    lines = FILES["multiple_choice"][1:]
    assert len(answers) == len(lines)
    for line, answer in zip(lines, answers, strict=True):
        assert answer["label"] == line[1 + answer["index"]]
    assert {answer["expert"] for answer in answers} == {"multiple_choice@1"}


def test_what_cannot_be_answered_is_one_line(command: Command, tmp_path: Path) -> None:
    one = command("predict", "Which?", "--choice", "a")
    assert_refused(one, 2, "one choice is none: 'a' needs another beside it")
    wrong = command("predict", "Which?", "--expert", "multiple_choice")
    assert_refused(
        wrong, 2, "multiple_choice@1 does not take a text without choices: give it some (--choice)"
    )
    other = command("predict", "Which?", "--choice", "a", "--choice", "b", "--expert", "regression")
    assert_refused(other, 2, "regression@1 does not take choices: leave them out, or ask another expert")
    (tmp_path / "torn.csv").write_text("text,choice_0,choice_1\nWhich?,a,b\nAnd which?,a,\n")
    torn = command("predict", "--data", str(tmp_path / "torn.csv"))
    assert_refused(torn, 5, "line 3: the choice_1 is empty; every row needs all of choice_0 to choice_1")
    both = command("predict", "--data", str(tmp_path / "torn.csv"), "--choice", "a")
    assert both.code == 2
    assert "in --data they are columns choice_0, choice_1" in both.err


def test_a_pool_without_an_expert_for_an_input_says_so(registry_command: Command) -> None:
    asked = registry_command("predict", "Which?", "--choice", "a", "--choice", "b")
    assert_refused(asked, 2, "no expert of this pool takes choices: leave them out, or ask another expert")


def test_evaluating_tells_the_score_of_each_kind(command: Command) -> None:
    report = command("evaluate", "--json").json
    assert {task: {*found} for task, found in report["per_task"].items()} == {
        "multi_label": {"routing_accuracy", "routed_micro_f1", "oracle_micro_f1", "coverage"},
        "multiple_choice": {"routing_accuracy", "routed_accuracy", "oracle_accuracy", "coverage"},
        "regression": {"routing_accuracy", "routed_spearman", "oracle_spearman", "coverage"},
        "text_generation": {"routing_accuracy", "routed_token_f1", "oracle_token_f1", "coverage"},
    }
    table = command("evaluate").out
    for task, score in (
        ("multi_label", "micro f1"),
        ("multiple_choice", "accuracy"),
        ("regression", "spearman"),
    ):
        assert any(line.split()[:2] == [task, score.split()[0]] for line in table.splitlines())
    assert {*command("evaluate", "regression", "--json").json["metrics"]} == {"spearman", "pearson", "rmse"}
    written = command("evaluate", "text_generation", "--json").json["metrics"]
    assert {*written} == {"token_f1", "rouge_l", "exact_match", "perplexity"}


def test_lists_and_cards_show_the_score_that_counts(command: Command, mixed: Path) -> None:
    with Registry(mixed) as registry:
        found = {one.metric: one.value for one in registry.evaluations("regression@1") if one.split == "test"}
        listed = command("experts", "--json").json
        metrics = {one["task"]: one["metrics"]["test"] for one in listed}
        assert next(iter(metrics["regression"].items())) == ("spearman", found["spearman"])
        assert next(iter(metrics["multi_label"])) == "micro_f1"
        matrix = continual.show_matrix(registry)
        assert [one["score"] for one in matrix["per_task"]] == [
            "micro_f1",
            "accuracy",
            "spearman",
            "token_f1",
        ]
        per_task = routers.show_generation(registry)["per_task"]
        for line in matrix["per_task"]:
            assert line["now"] == per_task[line["task"]][f"routed_{line['score']}"]["value"]


def test_the_playground_words_answers_of_every_kind(mixed: Path) -> None:
    with Registry(mixed) as registry:
        moe = MoE.load(registry, device="cpu")
    asked = Input("Which one is red?", choices=("the film is red", "a cloud"))
    chosen, number = (
        playground.answer(one)
        for one in (*moe.predict([asked]), *moe.predict(["The film was fair."], expert="regression"))
    )
    assert f"answers “{chosen['label']}”, " in playground.sentence(chosen)
    assert playground.sentence(number) == (
        f"regression@1 answers “{number['label']}”. It was asked by name; nothing was routed."
    )
    assert playground.table([number])[0][1:3] == [number["label"], None]
