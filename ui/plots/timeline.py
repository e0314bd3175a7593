"""Accuracies over the generations of the router."""

from collections.abc import Mapping, Sequence
from typing import Any

from ui.plots.drawing import COLOURS, MARKERS, canvas, legend_below, svg, whole_numbers

NAMES = {
    "routing_accuracy": "sent to its own expert",
    "routed_accuracy": "answered rightly, routed",
    "oracle_accuracy": "answered rightly by its own expert",
}


def draw(points: Sequence[Mapping[str, Any]], title: str) -> bytes:
    """`points` as of `ui.views.routers.over_time`."""
    figure, axes = canvas(5.4, 3.6)
    for place, (metric, name) in enumerate(NAMES.items()):
        found = [(one["generation"], one[metric]) for one in points if metric in one]
        axes.plot(
            [number for number, _ in found],
            [100 * value for _, value in found],
            color=COLOURS[place],
            marker=MARKERS[place],
            markersize=4 if len(found) <= 60 else 0,
            linestyle=("-", "--", ":")[place],
            label=name,
        )
    if len(points) == 1:
        axes.set_xlim(points[0]["generation"] - 1, points[0]["generation"] + 1)
    axes.set_xlabel("generation")
    axes.set_ylabel("% of test rows")
    axes.set_title(title, loc="left")
    whole_numbers(axes)
    axes.grid(axis="y")
    legend_below(figure, columns=1)
    return svg(figure)


def said(points: Sequence[Mapping[str, Any]], title: str) -> str:
    """The first and the last generation of the chart in words."""
    if not points:
        return f"No generation has been measured on {title}."
    first, last = points[0], points[-1]
    parts = [
        f"{name}: {first[metric]:.1%} in generation {first['generation']}, "
        f"{last[metric]:.1%} in generation {last['generation']}"
        for metric, name in NAMES.items()
        if metric in first and metric in last
    ]
    return f"Test rows of {title} over the generations; {'; '.join(parts)}."
