"""Heads in closed form: what leaving one row out says is what leaving it out gives."""

import torch

from trainer.data import Row
from trainer.solving import PENALTIES, SHARPNESS, System, solve
from trainer.tasks import classification

LABELS = ("no", "yes")


def rows(count: int) -> list[Row]:
    return [Row({"text": "a", "label": LABELS[place % 2]}, "train") for place in range(count)]


def states(count: int, width: int) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(0)) * 3 + 1


def test_each_row_left_out_is_what_solving_without_it_gives() -> None:
    for count, width, words in ((12, 40, 0), (12, 5, 0), (12, 40, 3)):
        x, y = states(count, width + words), torch.eye(2).repeat(count // 2, 1).double()
        system = System.of(x[:, :width], y, x[:, width:], 2.0)
        for penalty in (PENALTIES[0], PENALTIES[-3]):
            damping, scaled = system.damping(penalty), (x.double() - system.centre) * system.factor
            for row, found in enumerate(system.left_out(penalty)):
                others = [place for place in range(count) if place != row]
                centre, mean = scaled[others].mean(0), y[others].mean(0)
                own = scaled[others] - centre
                weight = torch.linalg.solve(
                    own.T @ own + damping * torch.eye(width + words).double(), own.T @ (y[others] - mean)
                )
                assert torch.allclose(found, mean + (scaled[row] - centre) @ weight, atol=1e-8)


def test_its_weights_give_what_it_fitted() -> None:
    x, own = states(20, 50), rows(20)
    found = solve(classification, x, own, LABELS)
    system = System.of(x, torch.eye(2).repeat(10, 1).double())
    fitted = [
        sharpness * (x.double() @ weight.double().T + bias.double())
        for penalty in PENALTIES
        for sharpness in SHARPNESS
        for weight, bias in [system.solve(penalty)]
    ]
    given = found.head(x).double()
    assert min((given - one).abs().max().item() for one in fitted) < 1e-4


def test_what_other_heads_say_counts_where_it_tells_more_than_the_states() -> None:
    x, own = states(20, 50), rows(20)
    right = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(10, 1)
    for said, better in (
        (right, True),
        (torch.randn(20, 2, generator=torch.Generator().manual_seed(1)), False),
    ):
        found = solve(classification, x, own, LABELS, said)
        assert (found.loss < 0.3 * solve(classification, x, own, LABELS).loss) == better
        weight = found.head.get_parameter("weight")
        assert weight.shape == (2, 52)
        fitted = found.head(torch.cat([x, said], 1))
        assert not better or fitted.argmax(1).tolist() == [0, 1] * 10


def test_states_that_tell_nothing_give_no_confidence() -> None:
    found = solve(classification, torch.zeros(20, 4), rows(20), LABELS)
    assert torch.allclose(found.head(torch.randn(3, 4)).softmax(-1), torch.full((3, 2), 0.5), atol=0.05)
    assert abs(found.loss - torch.tensor(2.0).log().item()) < 0.05


def test_the_same_rows_give_the_same_head() -> None:
    first, again = (solve(classification, states(30, 60), rows(30), LABELS).head for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
