"""What all plots share: a figure that can be read on light and on dark ground, and its SVG bytes.

Nothing is told by colour alone: lines differ in their markers too, and fields carry their numbers.
"""

from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#808080"
"""Text and axes: as far from white as from nearly black."""
COLOURS = ("#0f83c4", "#d9680f", "#0a9e74", "#b8629e", "#8a7f00", "#c0504d")
"""Told apart by most eyes, those that do not see red and green alike among them."""
MARKERS = ("o", "s", "^", "D", "v", "P")

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # Text stays text: smaller, sharper, and a screen reader finds it.
    "svg.hashsalt": "registry",  # Equal documents give equal bytes.
    "font.family": "sans-serif",
    "font.size": 10,
    "text.parse_math": False,  # A dollar sign is a dollar sign.
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.25,
    "figure.constrained_layout.use": True,
}


@cache
def _settle_style() -> None:
    """Once for the whole process: a style that came and went would be another thread's too."""
    import matplotlib

    matplotlib.rcParams.update(_STYLE)


def canvas(width: float, height: float) -> tuple["Figure", "Axes"]:
    """A figure of so many inches with one pair of axes, in the common style."""
    from matplotlib.figure import Figure

    _settle_style()
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots()


def svg(figure: "Figure") -> bytes:
    """The figure on transparent ground."""
    written = BytesIO()
    figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    return written.getvalue()


def plain_legend(axes: "Axes", **where: Any) -> None:
    """A legend without a box."""
    axes.legend(frameon=False, **where)


def whole_numbers(axes: "Axes") -> None:
    """Marks the horizontal axis at whole numbers: there is no generation 1.5."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
