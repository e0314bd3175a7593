"""What every task kind must do, whichever it is."""

from types import ModuleType

import pytest
import torch

from registry.errors import DataRefusedError
from trainer import kinds
from trainer.data import Row


@pytest.fixture(params=kinds.names("tasks"))
def kind(request: pytest.FixtureRequest) -> ModuleType:
    return kinds.load("tasks", request.param)


def rows(kind: ModuleType, targets: list[str]) -> list[Row]:
    """Rows with these targets, every other required role filled."""
    return [
        Row({role: f"{role} {line}" for role in kind.REQUIRED} | {kind.TARGET: target}, "train", line)
        for line, target in enumerate(targets, start=2)
    ]


TARGETS = ["yes", "no", "no", "yes", "maybe", "maybe"]


def test_the_target_is_one_of_the_required_roles(kind):
    assert kind.TARGET in kind.REQUIRED


def test_a_file_with_the_required_roles_is_recognised_and_one_without_the_target_is_not(kind):
    assert kind.recognises(kind.REQUIRED)
    assert not kind.recognises([role for role in kind.REQUIRED if role != kind.TARGET])


def test_labels_are_the_sorted_targets(kind):
    labels, _ = kind.check(rows(kind, TARGETS))
    assert labels == ("maybe", "no", "yes")


def test_rows_with_a_single_answer_are_refused(kind):
    with pytest.raises(DataRefusedError):
        kind.check(rows(kind, ["yes", "yes", "yes"]))


def test_an_untrained_head_prefers_nothing(kind):
    head = kind.Head(8, ("maybe", "no", "yes"))
    outputs = head(torch.randn(5, 8, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(outputs, torch.zeros(5, 3))


def test_outputs_made_from_the_targets_are_decoded_to_them_and_score_best(kind):
    labels, given = ("maybe", "no", "yes"), rows(kind, TARGETS)
    targets = kind.targets(given, labels)
    perfect = torch.nn.functional.one_hot(targets, len(labels)) * 20.0
    assert [answer.label for answer in kind.answers(perfect, labels)] == TARGETS
    assert kind.score(perfect, targets)[kind.METRIC] == 1.0
    assert kind.score(-perfect, targets)[kind.METRIC] == 0.0
    assert kind.loss(perfect, targets) < 1e-6 < kind.loss(torch.zeros_like(perfect), targets)


def test_the_probabilities_of_an_answer_sum_to_one_and_the_answer_is_the_largest(kind):
    labels = ("maybe", "no", "yes")
    outputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    for answer in kind.answers(outputs, labels):
        assert list(answer.probabilities) == list(labels)
        assert sum(answer.probabilities.values()) == pytest.approx(1.0)
        assert answer.probability == max(answer.probabilities.values()) == answer.probabilities[answer.label]
