"""Which column plays which role: options, then exact names, then synonyms, never a guess."""

import pytest

from registry.errors import DataRefusedError, InvalidSettingError, NotFoundError
from trainer.data import Table
from trainer.data.columns import PAIRS, SYNONYMS, answer_of, assign_columns, columns_finding


def table(*columns: str) -> Table:
    return Table(source="task.csv", columns=columns, rows=[], lines=[])


def assign(*columns: str, **options: str) -> dict[str, str]:
    return assign_columns(table(*columns), ("text", "label"), ("text_pair", "split"), options)


def refused(*columns: str, **options: str) -> str:
    with pytest.raises(DataRefusedError) as caught:
        assign(*columns, **options)
    return str(caught.value).removeprefix("task.csv, line 1: ")


@pytest.mark.parametrize(
    ("values", "answer"),
    [
        ({"text": "a", "label": "b"}, "b"),
        ({"text": "a", "target": ""}, ""),
        ({"text": "a", "text_pair": "b"}, None),
    ],
)
def test_the_answer_of_a_row_is_found_whatever_its_kind(values: dict[str, str], answer: str | None) -> None:
    assert answer_of(values) == answer


def test_the_roles_are_played_by_the_columns_of_their_names() -> None:
    assert assign("text", "label") == {"text": "text", "label": "label"}
    assert assign("split", "label", "text_pair", "text", "id") == {
        "text": "text", "label": "label", "text_pair": "text_pair", "split": "split",
    }  # fmt: skip


def test_names_are_compared_without_case_and_spacing_and_kept_as_written() -> None:
    assert assign(" Text", "LABEL", "Text Pair") == {
        "text": " Text",
        "label": "LABEL",
        "text_pair": "Text Pair",
    }
    assert assign("text", "Text", "label") == {"text": "text", "label": "label"}


def test_an_exact_name_wins_over_a_synonym_and_an_option_over_both() -> None:
    assert assign("sentence", "text", "intent", "label") == {"text": "text", "label": "label"}
    chosen = assign("sentence", "text", "intent", "label", text="sentence", label="intent")
    assert chosen == {"text": "sentence", "label": "intent"}


@pytest.mark.parametrize("name", sorted(SYNONYMS["text"]))
def test_synonyms_of_the_text(name: str) -> None:
    assert assign(name, "label")["text"] == name


@pytest.mark.parametrize("name", sorted(SYNONYMS["label"]))
def test_synonyms_of_the_label(name: str) -> None:
    assert assign("text", name)["label"] == name


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_known_pairs(first: str, second: str) -> None:
    assert assign(second, first, "label") == {"text": first, "label": "label", "text_pair": second}


def test_columns_that_nothing_is_known_of_are_listed_with_the_options() -> None:
    assert refused("a", "b") == (
        "no column is known as the text; its columns are 'a', 'b';"
        " say which with --text, or call one of them 'text'"
    )
    assert refused("text", "b") == (
        "no column is known as the label; its columns are 'text', 'b';"
        " say which with --label, or call one of them 'label'"
    )
    assert assign("a", "b", text="b", label="a") == {"text": "b", "label": "a"}
    assert "and 52 more" in refused(*(f"c{number}" for number in range(64)))


def test_several_candidates_are_refused_and_not_chosen_among() -> None:
    assert refused("review", "comment", "label") == (
        "several columns could be the text: 'review', 'comment';"
        " say which with --text, or call one of them 'text'"
    )
    assert "several columns could be the label: 'Label', 'LABEL'" in refused("text", "Label", "LABEL")
    assert "several columns could be the text and its pair: 'context', 'passage', 'question'" in refused(
        "question", "passage", "context", "label"
    )


def test_a_column_without_a_name_plays_no_role() -> None:
    assert assign("", "text", "label") == {"text": "text", "label": "label"}


def test_an_unknown_column_is_not_found_and_the_nearest_is_suggested() -> None:
    with pytest.raises(NotFoundError) as caught:
        assign("sentence", "label", text="sentense")
    assert str(caught.value) == (
        "task.csv has no column 'sentense'. Did you mean 'sentence'? Its columns: 'sentence', 'label'"
    )


def test_one_column_cannot_play_two_roles() -> None:
    with pytest.raises(InvalidSettingError, match="the column 'a' is named for two roles"):
        assign("a", "b", text="a", label="a")


def test_the_choice_is_said() -> None:
    columns = table("id", "sentence", "label", "when")
    chosen = assign_columns(columns, ("text", "label"), (), {})
    assert columns_finding(chosen, columns) == (
        "columns used: 'sentence' as text, 'label'; not used: 'id', 'when'"
    )
