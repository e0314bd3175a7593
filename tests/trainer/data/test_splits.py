"""A row's split comes from its own text; only data too small for that are helped."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.errors import DataRefusedError
from trainer.data import Split
from trainer.data.splits import TEST_FROM, VALIDATION_FROM, assign_splits, named_split, position

BOTH: tuple[Split, Split] = ("validation", "test")
QUICK = settings(derandomize=True, database=None, max_examples=300, deadline=None)


def places(texts: list[str]) -> list[int]:
    return [position([text]) for text in texts]


def natural(place: int) -> Split:
    return "train" if place < VALIDATION_FROM else "validation" if place < TEST_FROM else "test"


def split(texts: list[str], labels: list[str], missing: tuple[Split, ...] = BOTH) -> list[Split]:
    found = assign_splits(places(texts), [(label,) for label in labels], missing)
    assert found is not None
    return found


def test_the_position_of_a_text_never_changes() -> None:
    """These figures are on people's disks: other ones would move the rows of every dataset."""
    assert position(["hello"]) == 3238736544897475342
    assert position(["premise", "hypothesis"]) == 6542749857343857986


def test_texts_that_differ_in_case_spacing_or_normal_form_stay_together() -> None:
    assert position(["Caf\u00e9  au\nlait "]) == position(["cafe\u0301 AU LAIT"])
    assert position(["a", "b"]) != position(["a b"]) != position(["b", "a"])


@pytest.mark.parametrize(("count", "slack"), [(240, 15), (400, 20), (20_000, 150)])
def test_eight_tenths_train_and_a_tenth_each_chooses_and_tests(count: int, slack: int) -> None:
    texts = [f"sentence number {number}" for number in range(count)]
    counts = Counter(split(texts, ["a", "b"] * (count // 2)))
    assert abs(counts["validation"] - count / 10) < slack
    assert abs(counts["test"] - count / 10) < slack
    assert counts.total() == count


def test_neither_new_rows_nor_another_order_move_a_row() -> None:
    texts = [f"sentence number {number}" for number in range(2000)]
    labels = [f"label {number % 20}" for number in range(2000)]
    before = dict(zip(texts[:400], split(texts[:400], labels[:400]), strict=True))
    order = random.Random(0).sample(range(2000), 2000)
    shuffled = [texts[i] for i in order]
    after = dict(zip(shuffled, split(shuffled, [labels[i] for i in order]), strict=True))
    assert {text: after[text] for text in before} == before


ROWS = st.lists(st.tuples(st.integers(0, 200), st.sampled_from("abcd")), max_size=60).map(
    # Two texts of its own for each label used: what the checks before splitting guarantee.
    lambda rows: (
        [(f"{number} {label}", label) for number, label in rows]
        + [
            (f"{extra} {label}", label)
            for label in {label for _, label in rows} | {"a", "b"}
            for extra in ("x", "y")
        ]
    )
)


@QUICK
@given(ROWS, st.sampled_from([BOTH, ("validation",), ("test",), ()]))
def test_every_label_trains_every_part_has_rows_and_equal_texts_stay_together(
    rows: list[tuple[str, str]], missing: tuple[Split, ...]
) -> None:
    texts, labels = [text for text, _ in rows], [label for _, label in rows]
    found = split(texts, labels, missing)
    assert set(found) == {"train", *missing}
    assert {label for label, part in zip(labels, found, strict=True) if part == "train"} == set(labels)
    assert len(set(zip(texts, found, strict=True))) == len(set(texts))


def needs_help(texts: list[str], labels: list[str]) -> bool:
    """Whether the hash alone leaves a part empty or a label without train rows."""
    parts = [natural(place) for place in places(texts)]
    trained = {label for label, part in zip(labels, parts, strict=True) if part == "train"}
    return trained < set(labels) or set(parts) < {"train", "validation", "test"}


@QUICK
@given(ROWS, ROWS, st.randoms(use_true_random=False))
def test_once_there_are_enough_rows_no_addition_moves_one(
    rows: list[tuple[str, str]], added: list[tuple[str, str]], chance: random.Random
) -> None:
    texts, labels = [text for text, _ in rows], [label for _, label in rows]
    before = split(texts, labels)
    if needs_help(texts, labels):
        return
    more = chance.sample(rows + added, len(rows + added))
    after = dict(zip([text for text, _ in more], split(*map(list, zip(*more, strict=True))), strict=True))
    assert [after[text] for text in texts] == before == [natural(place) for place in places(texts)]


def test_help_is_small_and_ends_when_it_is_no_longer_needed() -> None:
    texts = [f"row {number}" for number in range(300)]
    helped = [
        size
        for size in range(4, 300)
        if needs_help(texts[:size], ["a", "b"] * (size // 2) + ["a"] * (size % 2))
    ]
    assert helped == list(range(4, len(helped) + 4))
    size = helped[-1]
    found = split(texts[:size], (["a", "b"] * size)[:size])
    moved = [text for text, part in zip(texts, found, strict=False) if part != natural(position([text]))]
    assert len(moved) == 1


def test_a_part_that_was_given_leaves_its_tenth_to_train() -> None:
    texts = [f"sentence number {number}" for number in range(400)]
    whole, without_test = split(texts, ["a"] * 400), split(texts, ["a"] * 400, ("validation",))
    assert [part if part != "test" else "train" for part in whole] == without_test


def test_kinds_without_labels_are_split_too() -> None:
    found = assign_splits(places([f"text {number}" for number in range(20)]), None, BOTH)
    assert found is not None
    assert set(found) == {"train", "validation", "test"}


def test_too_few_texts_are_not_split() -> None:
    assert assign_splits(places(["one", "two"]), [("a",), ("b",)], BOTH) is None
    assert assign_splits(places(["one", "one"]), [("a",), ("b",)], ("test",)) is None


def test_the_names_of_splits() -> None:
    for said, meant in {"train": "train", " Dev ": "validation", "VAL": "validation", "test": "test"}.items():
        assert named_split(said, "task.csv", 2) == meant
    with pytest.raises(DataRefusedError) as caught:
        named_split("holdout", "task.csv", 7)
    assert str(caught.value) == "task.csv, line 7: the split 'holdout' is none of train, validation, test"
