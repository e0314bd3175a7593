"""Bars of weights and the curve of a training: SVG that holds its text, the same bytes for the same facts."""

from ui.plots.curve import losses, losses_said, scores, scores_said
from ui.plots.weights import said, weights

CURVE = [
    {"epoch": epoch, "loss": 1 / epoch, "validation_loss": 1.1 / epoch, "validation_accuracy": epoch / 10}
    for epoch in range(1, 6)
]


def test_bars_name_each_expert_and_its_weight_and_mark_the_chosen_one_in_words() -> None:
    drawn = weights([("mood", 0.75), ("topic", 0.2), ("6 others", 0.05)], "mood").decode()
    for part in ("mood", "topic", "6 others", "75.0% chosen", "20.0%", "5.0%"):
        assert f">{part}<" in drawn
    assert drawn.count("chosen") == 1
    assert weights([("mood", 0.75)], "mood") == weights([("mood", 0.75)], "mood")


def test_bars_and_curves_in_words() -> None:
    assert said([("mood", 0.75), ("topic", 0.25)], "mood") == (
        "Weights of the router: mood 75.0% (chosen), topic 25.0%."
    )
    assert losses_said(CURVE) == (
        "Loss by epoch; training: 1.000 after epoch 1, 0.200 after epoch 5; "
        "validation: 1.100 after epoch 1, 0.220 after epoch 5."
    )
    assert scores_said(CURVE) == (
        "Validation score by epoch; accuracy: 0.100 after epoch 1, 0.500 after epoch 5."
    )
    assert scores_said([]) == "Validation score by epoch; nothing yet."


def test_a_long_name_is_shortened() -> None:
    assert ">" + "x" * 23 + "…<" in weights([("x" * 64, 1.0)]).decode()


def test_the_curve_shows_losses_and_scores_by_name() -> None:
    drawn = losses(CURVE).decode()
    assert ">training<" in drawn
    assert ">validation<" in drawn
    assert ">accuracy<" in scores(CURVE).decode()
    assert "loss" not in scores(CURVE).decode()


def test_a_curve_of_one_point_and_of_none_can_be_drawn() -> None:
    assert losses(CURVE[:1]).startswith(b"<?xml")
    assert scores([]).startswith(b"<?xml")
