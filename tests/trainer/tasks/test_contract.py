"""What every task kind keeps, whichever file it comes from; and what classification answers."""

from types import ModuleType

import pytest
import torch

from trainer import kinds
from trainer.data import Row
from trainer.tasks import Answer, classification

LABELS = ("bad", "good", "mixed")
ROWS = [Row({"text": f"text {place}", "label": LABELS[place % 3]}, "train") for place in range(6)]


@pytest.fixture(params=kinds.names("tasks"))
def family(request: pytest.FixtureRequest) -> ModuleType:
    return kinds.load("tasks", request.param)


def test_its_roles_are_told_apart(family: ModuleType) -> None:
    assert family.TARGET in family.REQUIRED
    assert not {*family.REQUIRED} & {*family.OPTIONAL}
    assert family.recognises(family.REQUIRED)
    assert family.recognises([*family.REQUIRED, *family.OPTIONAL, "split"])
    assert not family.recognises([role for role in family.REQUIRED if role != family.TARGET])
    assert not family.recognises([*family.REQUIRED, "something else"])


def test_no_two_kinds_recognise_the_same_columns() -> None:
    every = kinds.load_all("tasks")
    for name, family in every.items():
        assert [other for other in every if every[other].recognises(family.REQUIRED)] == [name]


def test_an_untrained_head_says_the_same_of_every_text() -> None:
    head = classification.head(8, LABELS)
    assert torch.equal(head(torch.randn(4, 8)), torch.zeros(4, 3))


def test_targets_are_places_in_the_labels() -> None:
    assert torch.equal(classification.targets(ROWS, LABELS), torch.tensor([0, 1, 2, 0, 1, 2]))
    assert torch.equal(classification.targets(ROWS, LABELS[::-1]), torch.tensor([2, 1, 0, 2, 1, 0]))


def test_the_score_is_the_share_of_right_answers() -> None:
    outputs = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 1.0], [0.0, 0.1]])
    assert classification.score(outputs, torch.tensor([0, 1, 1, 1])) == {"accuracy": 0.75}
    assert classification.METRIC in classification.score(outputs, torch.tensor([0, 1, 1, 1]))


def test_the_loss_is_the_mean_surprise() -> None:
    outputs = torch.tensor([[1.0, 3.0], [0.0, 0.0]])
    surprise = -torch.stack([outputs[0].softmax(0)[0].log(), outputs[1].softmax(0)[1].log()])
    assert torch.allclose(classification.loss(outputs, torch.tensor([0, 1])), surprise.mean())


def test_an_answer_has_the_probability_of_every_label() -> None:
    outputs = torch.tensor([[0.0, 3.0, 0.0], [9.0, 0.0, 0.0]])
    shares = outputs.softmax(-1).tolist()
    assert classification.answers(outputs, LABELS) == [
        Answer("good", shares[0][1], dict(zip(LABELS, shares[0], strict=True))),
        Answer("bad", shares[1][0], dict(zip(LABELS, shares[1], strict=True))),
    ]
    assert classification.answers(outputs[:0], LABELS) == []
