"""What the playground says of an answer, and the CSV that no spreadsheet takes for formulas."""

from typing import Any

import pytest

from registry import Registry
from registry.errors import InvalidSettingError
from tests.registry.samples import add_expert, add_generation
from trainer.inputs import Input
from trainer.predictions import Prediction
from ui.views import playground as view

PREDICTION = Prediction(
    text="a fine film",
    task="mood",
    expert="mood@2",
    label="good",
    probability=0.875,
    probabilities={"bad": 0.125, "good": 0.875},
    weights={"topic": 0.2, "mood": 0.75, "spam": 0.05},
    margin=0.55,
    generation="router@3",
    cut=False,
    score=0.5,
    threshold=1.25,
)
REASON = "no expert fits: the score of the text is 2.5, and 98 % of the rows of known tasks stay below 1.25"
SILENT = {"expert": None, "task": None, "label": None, "probability": None, "score": 2.5, "reason": REASON}

BARE = {**SILENT, "label": "It is.", "probabilities": {}, "base_model": "SmolLM2"}


def given(**changes: Any) -> dict[str, Any]:
    return {**view.answer(PREDICTION), **changes}


def test_an_answer_is_a_document_with_the_largest_first() -> None:
    assert view.answer(PREDICTION) == {
        "text": "a fine film",
        "label": "good",
        "probability": 0.875,
        "probabilities": {"good": 0.875, "bad": 0.125},
        "task": "mood",
        "expert": "mood@2",
        "generation": "router@3",
        "weights": {"mood": 0.75, "topic": 0.2, "spam": 0.05},
        "margin": 0.55,
        "cut": False,
        "value": None,
        "index": None,
        "score": 0.5,
        "threshold": 1.25,
        "reason": None,
        "mixed": {},
        "base_model": None,
    }
    assert list(view.answer(PREDICTION)["weights"]) == ["mood", "topic", "spam"]


def test_an_answer_in_words_names_expert_router_margin_and_runner_up() -> None:
    assert view.sentence(given()) == (
        "mood@2 answers “good”, 87.5% sure. router@3 chose it with weight 75.0%, 55.0% ahead of topic."
    )
    assert view.sentence(given(weights={"mood": 1.0})).endswith(" It is the only expert of router@3.")
    assert view.sentence(given(generation=None, margin=None, cut=True)) == (
        "mood@2 answers “good”, 87.5% sure. It was asked by name; nothing was routed. Longer than the limit:"
        " the text was not read to its end, or the answer not written to it."
    )


def test_an_answer_that_was_written_is_told_apart_from_labels_numbers_and_choices() -> None:
    written = given(label="It rained.\nAll day.", probability=None, probabilities={})
    assert view.sentence(written).startswith("mood@2 wrote what stands below. router@3 chose it with ")
    assert [
        view.is_written(one)
        for one in (written, given(), given(**SILENT), given(label="3.5", value=3.5, probabilities={}))
    ] == [True, False, False, False]
    long = view.comparison({**written, "label": "x" * 100}, {**written, "generation": "router@4"})
    assert (
        long == f"router@3 and router@4 differ: “{'x' * 79}…” and “It rained. All day.”, by the same expert."
    )


def test_of_many_experts_the_top_ones_are_shown_and_the_others_as_one() -> None:
    weights = {f"task{number:03}": (1_000 - number) / 499_500 for number in range(1_000)}
    shown = view.top(weights)
    assert [name for name, _ in shown] == [*(f"task{number:03}" for number in range(8)), "992 others"]
    assert sum(weight for _, weight in shown) == pytest.approx(sum(weights.values()))
    assert view.top({"a": 0.4, "b": 0.6}) == [("b", 0.6), ("a", 0.4)]


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({}, "router@3 and router@4 agree: mood@2 answers “good”."),
        (
            {"expert": "topic@1"},
            "router@3 and router@4 give the same answer by different experts: mood@2 and topic@1.",
        ),
        ({"label": "bad"}, "router@3 and router@4 differ: “good” and “bad”, by the same expert."),
        (
            {"label": "x", "expert": "topic@1"},
            "router@3 and router@4 differ: “good” and “x”, by mood@2 and topic@1.",
        ),
    ],
)
def test_two_generations_are_compared_in_a_sentence(second: dict[str, str], said: str) -> None:
    assert view.comparison(given(), given(generation="router@4", **second)) == said


def test_generations_are_listed_newest_first_with_their_experts_and_aliases(registry: Registry) -> None:
    assert view.list_pools(registry) == []
    assert view.default_pool(registry) is None
    add_expert(registry, "mood")
    add_expert(registry, "topic", number=1)
    add_generation(registry, "mood@1")
    add_generation(registry, "mood@1", "topic@1", number=1)
    registry.promote("router@1")
    assert view.list_pools(registry) == [
        {"generation": "router@2", "experts": ["mood@1", "topic@1"], "aliases": []},
        {"generation": "router@1", "experts": ["mood@1"], "aliases": ["router@production"]},
    ]
    assert view.default_pool(registry) == "router@1"


def test_texts_that_are_empty_or_too_long_and_too_many_rows_are_refused() -> None:
    assert view.checked("one", "") == Input("one")
    assert view.checked("one", "two") == Input("one", "two")
    assert view.checked("one", None, ["a", "b"]) == Input("one", choices=("a", "b"))
    with pytest.raises(InvalidSettingError, match="there is no text yet"):
        view.checked(" \n")
    with pytest.raises(InvalidSettingError, match="100,001 characters is too long"):
        view.checked("one", "x" * 100_001)
    view.check_count(["x"] * 1_000)
    with pytest.raises(InvalidSettingError, match="1,001 rows are more than the 1,000"):
        view.check_count(["x"] * 1_001)


def test_a_table_of_answers_has_a_row_for_each() -> None:
    assert view.table([given(), given(generation=None, margin=None, cut=True)]) == [
        ["a fine film", "good", 0.875, "mood@2", 0.75, 0.55, "yes", "no"],
        ["a fine film", "good", 0.875, "mood@2", 0.75, None, "yes", "yes"],
    ]
    mixed = {"mood@2": 0.6, "topic@1": 0.4}
    assert view.table([given(**SILENT), given(**BARE), given(mixed=mixed, reason=REASON)]) == [
        ["a fine film", "", None, "", 0.75, 0.55, "no", "no"],
        ["a fine film", "It is.", None, "base model SmolLM2", 0.75, 0.55, "no", "no"],
        ["a fine film", "good", 0.875, "mood@2 and topic@1", 0.75, 0.55, "no", "no"],
    ]


def test_where_no_expert_fits_the_reason_is_told_in_words() -> None:
    assert view.sentence(given(**SILENT)) == (
        "No expert fits: the score of the text is 2.5, and 98 % of the rows of known tasks stay below 1.25. "
        "Nobody answers. router@3 weighs the experts: mood 75.0%, topic 20.0%, spam 5.0%. "
        "To have it answered all the same, choose so under “If no expert fits”, or let an expert of your "
        "choice answer."
    )
    assert view.sentence(given(**BARE)) == (
        "No expert fits: the score of the text is 2.5, and 98 % of the rows of known tasks stay below 1.25. "
        "The base model SmolLM2 wrote what stands below. router@3 weighs the experts: mood 75.0%, "
        "topic 20.0%, spam 5.0%."
    )
    together = view.sentence(given(mixed={"mood@2": 0.6, "topic@1": 0.4}, reason=REASON))
    assert together.startswith("No expert fits: ")
    assert "mood@2 and topic@1 answer together “good”, 87.5% sure." in together


def test_generations_to_which_no_expert_fits_are_compared_too() -> None:
    silent = given(**SILENT)
    assert view.comparison(silent, given(**SILENT, generation="router@4")) == (
        "router@3 and router@4 agree: no expert fits."
    )
    assert view.comparison(silent, given(generation="router@4")) == (
        "router@3 and router@4 differ: to router@3 no expert fits; mood@2 of router@4 answers “good”."
    )


def test_rows_without_an_answer_are_counted_apart() -> None:
    assert view.counted([given(), given(expert="topic@1")]) == "2 rows answered by 2 experts."
    assert view.counted([given(), given(**SILENT)]) == "1 rows answered by 1 experts; to 1 no expert fits."
    assert view.counted([given(), given(**BARE)]) == (
        "1 rows answered by 1 experts; to 1 no expert fits, and the base model answers them."
    )


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =cmd|' /C calc'!A0"])
def test_no_cell_of_a_download_is_a_formula(text: str) -> None:
    assert view.to_csv(["text", "weight"], [[text, -0.5]]).decode() in (
        f"text,weight\r\n'{text},-0.5\r\n",
        f'text,weight\r\n"\'{text}",-0.5\r\n',
    )


def test_other_cells_of_a_download_stay_as_they_are() -> None:
    assert view.to_csv(["text"], [["a, b"], ["grüße = 1"]]) == 'text\r\n"a, b"\r\ngrüße = 1\r\n'.encode()
