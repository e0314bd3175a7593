"""What is asked, and what the base model reads of it."""

import pytest
import torch

from registry.errors import InvalidSettingError
from trainer.inputs import Input, words
from trainer.spans import by_input, means, spans, spread


def test_an_input_is_written_as_a_text_a_pair_or_itself() -> None:
    assert Input.of("a") == Input("a")
    assert Input.of(("a", "b")) == Input("a", "b")
    assert Input.of(("a", None)) == Input("a")
    assert Input.of(Input("a", choices=("b", "c"))) == Input("a", choices=("b", "c"))


def test_each_choice_is_read_by_itself_after_the_text() -> None:
    assert Input("a", "b").sequences == [("a", "b")]
    assert Input("a", choices=("c", "d")).sequences == [("a", "c"), ("a", "d")]
    assert Input("a", "b", ("c", "d")).sequences == [("a\nb", "c"), ("a\nb", "d")]


def test_routers_of_text_read_choices_in_one_order() -> None:
    asked = [Input("a"), Input("a", "b"), Input("a", choices=("d", "c")), Input("a", choices=("c", "d"))]
    assert words(asked) == ["a", "a\nb", "a\nc\nd", "a\nc\nd"]


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        (("b",), "one choice is none: 'b' needs another beside it"),
        (("b", " "), "a choice is empty: each is a text"),
    ],
)
def test_what_leaves_no_choice_is_refused(choices: tuple[str, ...], reason: str) -> None:
    with pytest.raises(InvalidSettingError) as caught:
        Input("a", choices=choices)
    assert str(caught.value) == reason


def test_sequences_are_told_apart_by_their_inputs() -> None:
    assert spans([1, 3, 2]) == [range(0, 1), range(1, 4), range(4, 6)]
    assert spread(["a", "b"], [1, 2]) == ["a", "b", "b"]
    values = torch.tensor([[1.0], [2.0], [4.0], [6.0]])
    assert means(values, [1, 3]).tolist() == [[1.0], [4.0]]
    assert means(values, [1, 1, 1, 1]) is values


def test_outputs_of_choices_lie_side_by_side() -> None:
    outputs = torch.tensor([[1.0], [2.0], [4.0], [6.0], [7.0]])
    assert by_input(outputs, [2, 3]).tolist() == [[1.0, 2.0, -torch.inf], [4.0, 6.0, 7.0]]
    assert by_input(outputs, [1] * 5) is outputs
