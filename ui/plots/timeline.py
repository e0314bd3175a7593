"""Accuracies over the generations of the router."""

from collections.abc import Mapping, Sequence
from typing import Any

from ui.plots.drawing import COLOURS, MARKERS, canvas, plain_legend, svg, whole_numbers

NAMES = {
    "routing_accuracy": "sent to its own expert",
    "routed_accuracy": "answered rightly, routed",
    "oracle_accuracy": "answered rightly by its own expert",
}


def draw(points: Sequence[Mapping[str, Any]], title: str) -> bytes:
    """`points` as of `ui.views.routers.over_time`."""
    figure, axes = canvas(7.5, 3.2)
    for place, (metric, name) in enumerate(NAMES.items()):
        found = [(one["generation"], one[metric]) for one in points if metric in one]
        axes.plot(
            [number for number, _ in found],
            [value for _, value in found],
            color=COLOURS[place],
            marker=MARKERS[place],
            markersize=4 if len(found) <= 60 else 0,
            linestyle=("-", "--", ":")[place],
            label=name,
        )
    axes.set_xlabel("generation")
    axes.set_ylabel("share of test rows")
    axes.set_title(title, loc="left")
    whole_numbers(axes)
    axes.grid(axis="y")
    plain_legend(axes, loc="best", fontsize=9)
    return svg(figure)
