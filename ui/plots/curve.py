"""The curve of a training: what each epoch cost, and how well it did."""

from collections.abc import Mapping, Sequence
from typing import Any

from ui.plots.drawing import COLOURS, MARKERS, canvas, plain_legend, svg

Curve = Sequence[Mapping[str, Any]]


def losses(curve: Curve) -> bytes:
    """Loss on training and validation rows by epoch."""
    return _lines(curve, {"loss": "training", "validation_loss": "validation"}, "Loss by epoch")


def scores(curve: Curve) -> bytes:
    """Every other number of the validation rows by epoch, such as accuracy."""
    names = [name for name in (curve[-1] if curve else {}) if name.startswith("validation_")]
    metrics = {name: name.removeprefix("validation_") for name in names if name != "validation_loss"}
    return _lines(curve, metrics, "Validation score by epoch")


def _lines(curve: Curve, names: Mapping[str, str], what: str) -> bytes:
    from matplotlib.ticker import MaxNLocator

    figure, axes = canvas(5, 3)
    for place, (name, label) in enumerate(names.items()):
        found = [(point["epoch"], point[name]) for point in curve if point.get(name) is not None]
        axes.plot(
            [epoch for epoch, _ in found],
            [value for _, value in found],
            label=label,
            color=COLOURS[place % len(COLOURS)],
            marker=MARKERS[place % len(MARKERS)] if len(found) <= 40 else None,
            linestyle=("-", "--")[place % 2],
        )
    axes.set_xlabel("epoch")
    axes.set_title(what, loc="left")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(True)
    if names:
        plain_legend(axes)
    return svg(figure)
