"""Labels and rows that cannot be trained on are refused; what a person should know is said."""

import pytest

from registry.errors import DataRefusedError
from trainer.data import Row, check_labels
from trainer.data.checks import check_inputs, label_in_text, leaks, repeats
from trainer.data.rows import Split
from trainer.data.splits import check_labels_in_train
from trainer.tasks.classification import labels_of


def rows(*labels: str, texts: list[str] | None = None, split: Split = "train") -> list[Row]:
    texts = texts or [f"text {number}" for number in range(len(labels))]
    return [
        Row({"text": text, "label": label}, split, line, "task.csv")
        for line, (text, label) in enumerate(zip(texts, labels, strict=True), start=2)
    ]


def refused(*labels: str) -> str:
    with pytest.raises(DataRefusedError) as caught:
        check_labels(rows(*labels))
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_labels_are_sorted_and_never_changed() -> None:
    names = ["True", "NA", "007", "7", "1.0", "1e20", "None", "", " x"]
    labels, _ = check_labels(rows(*[name for name in names if name] * 20))
    assert labels == tuple(sorted(name for name in names if name))


def test_between_2_and_1000_labels_of_at_least_2_rows() -> None:
    assert refused("a", "a") == "task.csv: every row has the label 'a'; at least two labels are needed"
    assert (
        refused("a", "a", "b") == "task.csv, line 4: the label 'b' has only this row; each needs at least 2"
    )
    names = [f"label {number}" for number in range(1001)] * 2
    assert refused(*names) == "task.csv, line 1002: more than 1,000 different labels, the most there can be"
    assert len(check_labels(rows(*names[:1000] * 2))[0]) == 1000


@pytest.mark.parametrize("label", ["", "  ", "\u00a0"])
def test_an_empty_label_is_refused(label: str) -> None:
    assert refused("a", "a", label) == "task.csv, line 4: the label is empty"


def test_a_label_has_at_most_128_characters() -> None:
    assert check_labels(rows("a", "a", "x" * 128, "x" * 128))[0] == ("a", "x" * 128)
    assert "has 129 characters, more than 128" in refused("a", "a", "x" * 129)


@pytest.mark.parametrize(
    "character",
    list("\n\t\x00\x1b\x7f\u200b\u200d\u202e\u2066\ufeff\u00ad\u2028\u3164"),
    ids=ascii,
)
def test_what_cannot_be_seen_in_a_label_is_refused(character: str) -> None:
    message = refused("pos", "pos", f"po{character}s")
    assert message.startswith("task.csv, line 4: the label 'po")
    assert message.endswith(f"holds the invisible character U+{ord(character):04X}; remove it")


@pytest.mark.parametrize(
    ("label", "twin"),
    [
        ("pos", "\u0440os"),
        ("caf\u00e9", "cafe\u0301"),
        ("pos", "pos "),
        ("a b", "a\u00a0b"),
        ("pos", "\uff50os"),
        ("\u2764", "\u2764\ufe0f"),
        ("AB", "\u0391\u0392"),
    ],
)
def test_labels_that_look_alike_are_refused(label: str, twin: str) -> None:
    message = refused(label, label, twin, twin)
    assert message.startswith(f"task.csv, line 4: the label {twin!a} looks like {label!a} (line 2)")
    assert message.isascii()


def test_labels_in_any_one_script_are_taken() -> None:
    names = ["да", "нет", "\u03cc\u03c7\u03b9", "\u03bd\u03b1\u03b9", "はい", "👍", "nä", "C++", "N/A"]
    assert check_labels(rows(*names * 20)) == (tuple(sorted(names)), ())


def test_what_is_odd_about_labels_is_said() -> None:
    assert check_labels(rows(*["a"] * 20, *["b"] * 19))[1] == ("fewer than 20 rows for the labels 'b' (19)",)
    many = [f"label {number}" for number in range(8)]
    assert check_labels(rows(*many * 2))[1][0].endswith("'label 4' (2) and 3 more")
    assert check_labels(rows(*["Yes", "yes", " no", "\u0440os"] * 20))[1] == (
        "the label ' no' begins or ends with a space, which is kept",
        "the label '\\u0440os' mixes Latin letters with look-alikes of other scripts",
        "labels that differ only in case: 'Yes', 'yes'",
    )


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u200b", "\u00a0\ufeff", "\x1a"])
def test_a_text_of_which_nothing_can_be_seen_is_refused(text: str) -> None:
    with pytest.raises(DataRefusedError, match=r"task.csv, line 3: the text is empty"):
        check_inputs(rows("a", "b", texts=["hello", text]), ("text",))


def test_repeated_rows_are_kept_and_counted() -> None:
    found = repeats(rows("a", "b", "a", "a", texts=["x", "y", "x", "x"]), ("text",), labels_of)
    assert found == ["2 rows repeat an earlier one and are kept (first: line 4)"]
    assert repeats(rows("a", "a", texts=["caf\u00e9", "cafe\u0301"]), ("text",), labels_of) != []
    assert repeats(rows("a", "a", texts=["X", "x"]), ("text",), labels_of) == []


def test_few_contradictions_are_said_and_many_refused() -> None:
    texts = ["same", *[f"text {number}" for number in range(98)], "same"]
    found = repeats(rows("a", *["b"] * 99, texts=texts), ("text",), labels_of)
    assert found == ["2 rows have the text of another but a different label: line 2 and line 101"]
    with pytest.raises(DataRefusedError) as caught:
        repeats(rows("a", "b", "a", "a", texts=["x", "x", "y", "z"]), ("text",), labels_of)
    assert str(caught.value) == (
        "task.csv, line 3: 2 rows have the text of another but a different label: line 2 and line 3;"
        " more than 5 % of all, so decide on one label for each"
    )


def test_a_pair_contradicts_only_the_same_pair() -> None:
    pairs = [
        Row({"text": "x", "text_pair": pair, "label": label}, "train", 2, "task.csv")
        for pair, label in (("y", "a"), ("z", "b"))
    ]
    assert repeats(pairs, ("text", "text_pair"), labels_of) == []


def test_texts_shared_by_splits_are_counted() -> None:
    placed = rows("a", "b") + rows("a", "b", split="validation") + rows("a", split="test")
    assert leaks(placed, [1, 2, 2, 3, 3]) == [
        "1 row of validation have a text that is also in train (first: line 2)",
        "1 row of test have a text that is also in validation (first: line 2)",
    ]
    assert leaks(placed, [1, 2, 3, 4, 5]) == []


def test_a_label_that_train_lacks_is_refused() -> None:
    with pytest.raises(DataRefusedError) as caught:
        check_labels_in_train(rows("a", "b") + rows("b", "c", split="test"), labels_of)
    assert str(caught.value) == "task.csv, line 3: the label 'c' is in test but in no train row"


def test_a_text_that_names_its_own_label_is_pointed_out() -> None:
    labels = ["pos", "neg"] * 50
    giving = [f"this one is {label.upper()}, row {number}" for number, label in enumerate(labels)]
    assert label_in_text(rows(*labels, texts=giving), ("text",), ("neg", "pos"), labels_of) == [
        "the text names its own label in 100 of 100 rows: is it meant to?"
    ]
    both = [f"pos or neg? row {number}" for number in range(100)]
    assert label_in_text(rows(*labels, texts=both), ("text",), ("neg", "pos"), labels_of) == []
    inside = [f"post negative {number}" for number in range(100)]
    assert label_in_text(rows(*labels, texts=inside), ("text",), ("neg", "pos"), labels_of) == []
    assert (
        label_in_text(rows(*labels, texts=giving[:94] + inside[:6]), ("text",), ("neg", "pos"), labels_of)
        == []
    )
