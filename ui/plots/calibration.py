"""The reliability diagram of a router."""

from collections.abc import Mapping
from typing import Any

from ui.plots.drawing import COLOURS, GREY, canvas, legend_below, svg
from ui.views.intervals import wilson


def draw(document: Mapping[str, Any]) -> bytes:
    """`document` as of `ui.views.routing.show_calibration`; the whiskers are 95 % intervals."""
    figure, axes = canvas(4.6, 4.6)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="as sure as it is right")
    bins = document["bins"]
    if bins:
        spans = [wilson(one["right"], one["rows"]) for one in bins]
        below = [max(0.0, one["right"] - low) for one, (low, _) in zip(bins, spans, strict=True)]
        above = [max(0.0, high - one["right"]) for one, (_, high) in zip(bins, spans, strict=True)]
        axes.errorbar(
            [one["weight"] for one in bins],
            [one["right"] for one in bins],
            yerr=[below, above],
            color=COLOURS[0],
            marker="o",
            capsize=3,
            label=document["generation"],
        )
        for one in bins:
            axes.annotate(
                f"{one['rows']:,}",
                (one["weight"], one["right"]),
                textcoords="offset points",
                xytext=(6, -10),
                fontsize=8,
            )
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("weight of the expert it chose")
    axes.set_ylabel("share of rows sent to their own expert")
    legend_below(figure)
    return svg(figure)


def said(document: Mapping[str, Any]) -> str:
    """The diagram in words."""
    bins = (
        f"{one['rows']:,} rows of weight {one['weight']:.1%} on average, {one['right']:.1%} sent right"
        for one in document["bins"]
    )
    return f"How often {document['generation']} is right when it is so sure: {'; '.join(bins) or 'no rows'}."
