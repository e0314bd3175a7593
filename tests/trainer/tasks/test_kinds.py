"""What each task kind answers, computes and refuses, in figures."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from registry.errors import DataRefusedError
from trainer import kinds
from trainer.data import Row, TaskData, read_task
from trainer.inputs import Input
from trainer.tasks import Answer, classification, multi_label, multiple_choice, regression

LABELS = ("bad", "good", "mixed")
Refused = Callable[..., str]


def rows(*labels: str, **values: str) -> list[Row]:
    return [
        Row({"text": "a text", "label": label, **values}, "train", line) for line, label in enumerate(labels)
    ]


def read(folder: Path, table: Sequence[Sequence[str]], **options: str) -> TaskData:
    path = folder / "task.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(table)
    return read_task(path, kinds.load_all("tasks"), **options)  # type: ignore[arg-type]


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    def why(table: Sequence[Sequence[str]], **options: str) -> str:
        with pytest.raises(DataRefusedError) as caught:
            read(tmp_path, table, **options)
        assert str(caught.value).isprintable()
        return (
            str(caught.value).removeprefix(f"{tmp_path / 'task.csv'}").removeprefix(", ").removeprefix(": ")
        )

    return why


def texts(labels: Sequence[str], name: str = "label") -> list[list[str]]:
    return [["text", name], *([f"text number {place}", label] for place, label in enumerate(labels))]


# Classification


def test_targets_of_classification_are_places_in_the_labels() -> None:
    head, given = classification.head(4, LABELS), rows("bad", "good", "mixed")
    assert torch.equal(classification.targets(head, given, LABELS), torch.tensor([0, 1, 2]))
    assert torch.equal(classification.targets(head, given, LABELS[::-1]), torch.tensor([2, 1, 0]))


def test_accuracy_is_the_share_of_right_answers() -> None:
    given = rows("bad", "good", "good", "mixed")
    assert classification.metrics(["bad", "bad", "good", "mixed"], given) == {"accuracy": 0.75}
    assert classification.credits(["bad", "bad"], given[:2]) == [1.0, 0.0]


def test_the_loss_of_classification_is_the_mean_surprise() -> None:
    outputs = torch.tensor([[1.0, 3.0], [0.0, 0.0]])
    surprise = -torch.stack([outputs[0].softmax(0)[0].log(), outputs[1].softmax(0)[1].log()])
    assert torch.allclose(classification.loss(outputs, torch.tensor([0, 1])), surprise.mean())


def test_an_answer_of_classification_has_the_probability_of_every_label() -> None:
    outputs = torch.tensor([[0.0, 3.0, 0.0], [9.0, 0.0, 0.0]])
    shares = outputs.softmax(-1).tolist()
    head = classification.head(4, LABELS)
    assert classification.answers(head, outputs, LABELS, [Input("a"), Input("b")]) == [
        Answer("good", shares[0][1], dict(zip(LABELS, shares[0], strict=True))),
        Answer("bad", shares[1][0], dict(zip(LABELS, shares[1], strict=True))),
    ]


def test_several_labels_in_one_are_refused_with_the_kind_that_takes_them(refused: Refused) -> None:
    assert refused(texts(["red", "red|green", "green"] * 8)) == (
        "line 3: the label 'red|green' holds '|', which joins several labels: add the task with --kind "
        "multi_label, or write another character"
    )


# Which kind it is


@pytest.mark.parametrize(
    ("labels", "name", "kind"),
    [
        (["0.5", "2", "3.25"], "label", "regression"),
        (["-1", "2.5e-3", "+.5"], "label", "regression"),
        (["1", "2", "3"], "score", "regression"),
        (["1", "2", "3"], "label", "classification"),
        (["1.0", "2.0", "0.0"], "label", "classification"),
        (["007", "NA", "0.5"], "label", "classification"),
        (["0.5", "nan", "1.5"], "label", "classification"),
        (["good", "bad", "mixed"], "score", "classification"),
    ],
)
def test_labels_are_amounts_when_they_are_numbers_with_fractions_or_called_so(
    labels: list[str], name: str, kind: str, tmp_path: Path
) -> None:
    data = read(tmp_path, texts(labels * 10, name))
    assert data.kind == kind
    assert (data.labels == ()) == (kind == "regression")


def test_what_was_taken_for_amounts_can_be_taken_as_names(tmp_path: Path) -> None:
    table = texts(["0.5", "1.5", "2.5"] * 10)
    assert "the labels are taken as amounts; --kind classification takes them as names" in (
        read(tmp_path, table).findings
    )
    assert read(tmp_path, table, kind="classification").labels == ("0.5", "1.5", "2.5")


def test_many_whole_numbers_are_names_and_it_is_said_how_else_they_could_be_taken(tmp_path: Path) -> None:
    table = texts([str(number) for number in range(13)] * 20)
    assert read(tmp_path, table).findings[-2] == (
        "the labels are numbers, taken as names; --kind regression takes them as amounts"
    )
    assert read(tmp_path, table, kind="regression").labels == ()


# Regression


@pytest.mark.parametrize("label", ["nan", "inf", "-Infinity", "1e999", "three", "1,5", "0x10", "1_000"])
def test_a_target_that_is_no_finite_decimal_is_refused_with_its_line(label: str, refused: Refused) -> None:
    assert refused(texts(["0.5", label, "1.5"] * 10), kind="regression") == (
        f"line 3: the label '{label}' is no finite decimal number, which regression needs: write one such as "
        "3.5, or add the task with --kind classification"
    )


def test_an_empty_target_is_refused(refused: Refused) -> None:
    assert refused(texts(["0.5", " ", "1.5"] * 10), kind="regression") == "line 3: the label is empty"


def test_one_and_the_same_number_everywhere_is_refused(refused: Refused) -> None:
    assert refused(texts(["2.5", "2.50"] * 10)) == ("every row has the number '2.5'; at least two are needed")


def test_the_units_of_a_head_are_those_of_the_training_rows() -> None:
    head = regression.head(4, ())
    regression.prepare(head, rows("1", "2", "3", "6"))
    assert (float(head.get_buffer("mean")), float(head.get_buffer("deviation"))) == (
        3.0,
        pytest.approx(3.5**0.5),
    )
    targets = regression.targets(head, rows("3", "10"), ())
    assert torch.allclose(targets, torch.tensor([0.0, 7 / 3.5**0.5]))
    [answer, _] = regression.answers(head, torch.tensor([[2.0], [0.0]]), (), [Input("a"), Input("b")])
    assert answer.value == pytest.approx(3 + 2 * 3.5**0.5)
    assert answer == Answer("6.74166", value=answer.value)


def test_training_rows_of_one_number_have_a_unit_all_the_same() -> None:
    head = regression.head(4, ())
    regression.prepare(head, rows("2.5", "2.5"))
    assert torch.equal(regression.targets(head, rows("2.5", "3.5"), ()), torch.tensor([0.0, 1.0]))


def test_correlations_are_those_of_hand_computed_examples() -> None:
    right = rows("1", "2", "3", "4")
    assert regression.metrics(["10", "20", "30", "40"], right) == {
        "spearman": pytest.approx(1.0),
        "pearson": pytest.approx(1.0),
        "rmse": pytest.approx(((9**2 + 18**2 + 27**2 + 36**2) / 4) ** 0.5),
    }
    assert regression.metrics(["1", "10", "100", "1000"], right)["spearman"] == pytest.approx(1.0)
    assert regression.metrics(["4", "3", "2", "1"], right)["spearman"] == pytest.approx(-1.0)
    # Ties share the mean of their ranks: (1.5, 1.5, 3, 4) against (1, 2, 3, 4).
    assert regression.metrics(["1", "1", "2", "3"], right)["spearman"] == pytest.approx(4.5 / 22.5**0.5)
    assert regression.metrics(["2", "2", "2", "2"], right)["spearman"] == 0.0


def test_the_credit_of_a_number_falls_with_its_distance() -> None:
    assert regression.credits(["1", "2", "9"], rows("1", "3", "5")) == [1.0, 0.75, 0.0]


# Multiple choice


def choices(*lines: Sequence[str]) -> list[list[str]]:
    return [["text", "choice_0", "choice_1", "choice_2", "label"], *([f"question {n}", *line]
            for n, line in enumerate([*lines, *[["a", "b", "c", "1"]] * 20]))]  # fmt: skip


def test_a_choice_that_is_missing_is_refused(refused: Refused) -> None:
    assert refused(choices(["a", "b", "c", "0"], ["a", "", "c", "0"])) == (
        "line 3: the choice_1 is empty; every row needs all of choice_0 to choice_2"
    )
    without = [[*line[:2], *line[3:]] for line in choices()]
    assert "no column is known as the choice_1" in refused(without)
    gap = [[*line[:3], line[3], line[4]] for line in choices()]
    gap[0][3] = "choice_3"
    assert refused(gap) == "line 1: choices are columns choice_0, choice_1, ...: choice_2 is missing"
    assert "no column is known as the choice_0" in refused([[*line[:1], *line[2:]] for line in choices()])


@pytest.mark.parametrize("label", ["3", "-1", "1.0", "01", "b"])
def test_a_label_that_is_the_number_of_no_choice_is_refused(label: str, refused: Refused) -> None:
    assert refused(choices(["a", "b", "c", label])) == (
        f"line 2: the label '{label}' is the number of no choice: write 0 for choice_0, and so on to 2"
    )


def test_an_empty_label_of_a_choice_is_refused(refused: Refused) -> None:
    assert refused(choices(["a", "b", "c", ""])) == "line 2: the label is empty"


def test_equal_choices_are_said(tmp_path: Path) -> None:
    data = read(tmp_path, choices(["a", "a", "c", "0"], ["a", "b", "b", "0"], ["a", "b", "c", "2"]))
    assert (data.kind, data.rows[0].input) == (
        "multiple_choice",
        Input("question 0", choices=("a", "a", "c")),
    )
    assert "2 rows have the same choice twice" in data.findings


def test_the_best_choice_is_the_answer_and_equal_ones_share() -> None:
    head = multiple_choice.head(4, ())
    inputs = [Input("q", choices=("a", "b", "a")), Input("q", choices=("x", "y"))]
    outputs = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, -torch.inf]])
    first, second = outputs.softmax(-1).tolist()
    assert multiple_choice.answers(head, outputs, (), inputs) == [
        Answer("b", first[1], {"a": first[0] + first[2], "b": first[1]}, index=1),
        Answer("x", second[0], {"x": second[0], "y": second[1]}, index=0),
    ]


def test_a_choice_is_right_by_what_it_says() -> None:
    given = rows("0", "1", choice_0="yes", choice_1="no")
    assert multiple_choice.credits(["yes", "yes"], given) == [1.0, 0.0]
    assert multiple_choice.metrics(["yes", "no"], given) == {"accuracy": 1.0}


# Several labels


def test_labels_of_a_row_are_taken_apart(tmp_path: Path) -> None:
    table = texts(["red|green", "green", "blue|red"] * 10)
    data = read(tmp_path, table, kind="multi_label")
    assert (data.kind, data.labels) == ("multi_label", ("blue", "green", "red"))
    head = multi_label.head(4, data.labels)
    assert multi_label.targets(head, data.rows[:3], data.labels).tolist() == [[0, 1, 1], [0, 1, 0], [1, 0, 1]]


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("red|", "the label is empty in 'red|'"),
        ("", "the label is empty in ''"),
        ("red|red", "a label is named twice in 'red|red'"),
        ("red|purple", "the label 'purple' has only this row; each needs at least 2"),
    ],
)
def test_what_cannot_be_a_label_of_several_is_refused(label: str, reason: str, refused: Refused) -> None:
    table = texts([label, *["red|green", "green"] * 10])
    assert refused(table, kind="multi_label") == f"line 2: {reason}"


def test_the_threshold_is_the_one_under_which_validation_does_best() -> None:
    head = multi_label.head(4, LABELS)
    outputs = torch.tensor([[0.3, 0.25, 0.1], [0.1, 0.4, 0.22], [0.26, 0.1, 0.05]]).logit()
    given = rows("bad|good", "good|mixed", "bad")
    multi_label.settle(head, outputs, given, LABELS)
    assert float(head.get_buffer("threshold")) == pytest.approx(0.22, abs=0.011)
    said = multi_label.answers(head, outputs, LABELS, [Input("a")] * 3)
    assert [one.label for one in said] == ["bad|good", "good|mixed", "bad"]
    assert said[0].probability == pytest.approx(0.3 * 0.25 * 0.9)


def test_where_no_label_reaches_the_threshold_the_likeliest_is_the_answer() -> None:
    head = multi_label.head(4, LABELS)
    [answer] = multi_label.answers(head, torch.tensor([[-3.0, -1.0, -2.0]]), LABELS, [Input("a")])
    assert answer.label == "good"


def test_scores_of_several_labels_are_those_of_hand_computed_examples() -> None:
    given = rows("a|b", "b", "c")
    said = ["b|a", "a|b", "a"]
    # Said 5 labels, right are 4, 3 of them both. a: 1 of 3 and 1; b: 2 of 2 and 2; c: none.
    assert multi_label.metrics(said, given) == {
        "micro_f1": pytest.approx(6 / 9),
        "exact_match": pytest.approx(1 / 3),
        "macro_f1": pytest.approx((0.5 + 1 + 0) / 3),
    }
    assert multi_label.credits(said, given) == [1.0, 0.5, 0.0]
