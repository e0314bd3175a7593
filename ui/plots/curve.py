"""The curve of a training: what each epoch cost, and how well it did."""

from collections.abc import Mapping, Sequence
from typing import Any

from ui.plots.drawing import COLOURS, MARKERS, canvas, legend_below, svg, whole_numbers

Curve = Sequence[Mapping[str, Any]]
LOSSES = {"loss": "training", "validation_loss": "validation"}


def losses(curve: Curve) -> bytes:
    """Loss on training and validation rows by epoch."""
    return _lines(curve, LOSSES, "Loss by epoch")


def losses_said(curve: Curve) -> str:
    """The same in words."""
    return _said(curve, LOSSES, "Loss by epoch")


def scores(curve: Curve) -> bytes:
    """Every other number of the validation rows by epoch, such as accuracy."""
    return _lines(curve, _scores(curve), "Validation score by epoch")


def scores_said(curve: Curve) -> str:
    """The same in words."""
    return _said(curve, _scores(curve), "Validation score by epoch")


def _scores(curve: Curve) -> dict[str, str]:
    names = [name for name in (curve[-1] if curve else {}) if name.startswith("validation_")]
    return {name: name.removeprefix("validation_") for name in names if name != "validation_loss"}


def _points(curve: Curve, name: str) -> list[tuple[float, float]]:
    return [(point["epoch"], point[name]) for point in curve if point.get(name) is not None]


def _lines(curve: Curve, names: Mapping[str, str], what: str) -> bytes:
    figure, axes = canvas(4.6, 3.1)
    for place, (name, label) in enumerate(names.items()):
        found = _points(curve, name)
        axes.plot(
            [epoch for epoch, _ in found],
            [value for _, value in found],
            label=label.replace("_", " "),
            color=COLOURS[place % len(COLOURS)],
            marker=MARKERS[place % len(MARKERS)] if len(found) <= 40 else None,
            linestyle=("-", "--")[place % 2],
        )
    axes.set_xlabel("epoch")
    axes.set_title(what, loc="left")
    whole_numbers(axes)
    axes.grid(True)
    if names:
        legend_below(figure)
    return svg(figure)


def _said(curve: Curve, names: Mapping[str, str], what: str) -> str:
    parts = []
    for name, label in names.items():
        if found := _points(curve, name):
            (first, start), (last, end) = found[0], found[-1]
            parts.append(
                f"{label.replace('_', ' ')}: {start:.3f} after epoch {first}, {end:.3f} after epoch {last}"
            )
    return f"{what}; {'; '.join(parts) or 'nothing yet'}."
