"""Files with targets: how they are recognised, refused, and how answers to them are scored."""

import csv
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from random import Random

import pytest

from registry.errors import DataRefusedError
from trainer import kinds
from trainer.data import Row, TaskData, read_task
from trainer.tasks import regression, text_generation


def read(folder: Path, table: Sequence[Sequence[str]], **options: str) -> TaskData:
    path = folder / "task.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(table)
    return read_task(path, kinds.load_all("tasks"), **options)  # type: ignore[arg-type]


def table(*columns: str, lines: int = 30) -> list[list[str]]:
    return [[*columns], *([f"{column} {number}" for column in columns] for number in range(lines))]


def scored(*pairs: tuple[str, str]) -> dict[str, float]:
    rows = [Row({"text": "a text", "target": right}, "train") for _, right in pairs]
    return text_generation.metrics([said for said, _ in pairs], rows)


@pytest.mark.parametrize(
    ("columns", "roles"),
    [
        (("text", "target"), {"text": "text", "target": "target"}),
        (("Prompt", "Completion"), {"text": "Prompt", "target": "Completion"}),
        (("input", "output"), {"text": "input", "target": "output"}),
        (("document", "summary"), {"text": "document", "target": "summary"}),
        (("question", "context", "answer"), {"text": "question", "text_pair": "context", "target": "answer"}),
    ],
)
def test_a_text_and_a_target_are_recognised(
    columns: tuple[str, ...], roles: dict[str, str], tmp_path: Path
) -> None:
    data = read(tmp_path, table(*columns))
    assert (data.kind, data.labels, data.columns) == ("text_generation", (), roles)
    assert {*data.rows[0].values} == {*roles}
    assert data.rows[0].input.text == data.rows[0].values["text"]


def test_beside_a_label_another_name_of_a_target_says_nothing(tmp_path: Path) -> None:
    lines = [[f"a text {number}", "ab"[number % 2], f"said {number}"] for number in range(40)]
    data = read(tmp_path, [["text", "label", "response"], *lines])
    assert (data.kind, data.columns) == ("classification", {"text": "text", "label": "label"})
    assert any("not used: 'response'" in finding for finding in data.findings)
    with pytest.raises(DataRefusedError) as caught:
        read(tmp_path, [["text", "label", "target"], *lines])
    assert str(caught.value).endswith(
        "hold more than one answer, 'label', 'target'; say which kind it is with --kind"
    )
    assert read(tmp_path, [["text", "label", "target"], *lines], kind="text_generation").columns == {
        "text": "text",
        "target": "target",
    }


def test_any_column_can_be_named_as_the_answer(tmp_path: Path) -> None:
    data = read(
        tmp_path, table("text", "headline", "other"), kind="text_generation", label="headline", text="text"
    )
    assert data.columns == {"text": "text", "target": "headline"}
    with pytest.raises(DataRefusedError) as caught:
        read(tmp_path, table("text", "other"), kind="text_generation")
    assert str(caught.value).endswith(
        "no column is known as the target; its columns are 'text', 'other'; say which with --label, or call "
        "one of them 'target'"
    )


@pytest.mark.parametrize("empty", ["", "  ", "\u200b"])
def test_an_empty_target_is_refused_with_its_line(empty: str, tmp_path: Path) -> None:
    lines = table("text", "target")
    lines[2][1] = empty
    with pytest.raises(DataRefusedError) as caught:
        read(tmp_path, lines)
    assert str(caught.value).endswith("task.csv, line 3: the target is empty")


def test_few_different_targets_are_remarked_on(tmp_path: Path) -> None:
    lines = [[f"a text {number}", ("yes", "no")[number % 2]] for number in range(40)]
    found = read(tmp_path, [["text", "target"], *lines])
    assert (
        "only 2 different targets, which are written all the same; --kind classification takes them as labels"
        in found.findings
    )
    assert read(tmp_path, [["text", "target"], *lines], kind="classification", label="target").labels == (
        "no",
        "yes",
    )


@pytest.mark.parametrize(
    ("said", "right", "f1", "rouge", "exact"),
    [
        ("The cat sat.", "the cat sat", 1.0, 1.0, 1.0),
        ("a cat", "The Cat!", 1.0, 1.0, 1.0),
        ("cat sat", "sat cat", 1.0, 0.5, 0.0),
        ("cat cat dog", "cat bird", 0.4, 0.4, 0.0),
        ("", "cat", 0.0, 0.0, 0.0),
        ("the", "a", 1.0, 1.0, 1.0),
        ("größer als zuvor", "Größer, als", 0.8, 0.8, 0.0),
        ("x y z", "x q z", 2 / 3, 2 / 3, 0.0),
    ],
)
def test_scores_are_those_of_hand_computed_examples(
    said: str, right: str, f1: float, rouge: float, exact: float
) -> None:
    expected = {"token_f1": pytest.approx(f1), "rouge_l": pytest.approx(rouge), "exact_match": exact}
    assert scored((said, right)) == expected
    [credit] = text_generation.credits([said], [Row({"text": "a", "target": right}, "train")])
    assert credit == pytest.approx(f1)


def test_scores_of_several_rows_are_means() -> None:
    assert scored(("cat", "cat"), ("dog", "cat")) == {"token_f1": 0.5, "rouge_l": 0.5, "exact_match": 0.5}


def test_the_longest_common_subsequence_is_that_of_all_subsequences() -> None:
    drawn = Random(0)
    for _ in range(50):
        one, other = ([drawn.choice("abcd") for _ in range(drawn.randint(0, 7))] for _ in range(2))
        every = [{own for size in range(8) for own in combinations(words, size)} for words in (one, other)]
        assert text_generation._longest_common(one, other) == max(map(len, every[0] & every[1]))


def test_a_text_is_no_number_and_takes_nothing_but_its_own_rows_credit() -> None:
    """A router may send rows with numbers to an expert that writes."""
    rows = [Row({"text": "a", "label": label}, "test") for label in ("1", "2", "3")]
    assert regression.credits(["1", "red", "3"], rows) == [1.0, 0.0, 1.0]
    assert regression.metrics(["1", "red", "3"], rows) == {
        "spearman": pytest.approx(1.0),
        "pearson": pytest.approx(1.0),
        "rmse": 0.0,
    }
    assert regression.metrics(["a", "b", "c"], rows)["spearman"] == 0.0
