"""What all plots share: a figure that can be read on light and on dark ground, and its SVG bytes.

Nothing is told by colour alone: lines differ in their markers too, and fields carry their numbers.
"""

import re
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "currentColor"
"""Text and axes: dark on light ground, light on dark."""
LOOK = "svg:root{color-scheme:light dark}.picture{color:#71717a;color:light-dark(#52525b,#d4d4d8)}"
"""Styles of every picture. As a file or an image it follows the page around it; inside a page, what that
inherits; where `light-dark` is unknown, a grey that both grounds bear."""
GREY = "#818283"
"""Stands for `INK` in figures, which know real colours alone; `svg` puts it right."""
_START = re.compile(rb"(<svg [^>]*)>")
COLOURS = ("#0f83c4", "#d9680f", "#0a9e74", "#b8629e", "#8a7f00", "#c0504d")
"""Told apart by most eyes, those that do not see red and green alike among them."""
MARKERS = ("o", "s", "^", "D", "v", "P")

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # Text stays text: smaller, sharper, and a screen reader finds it.
    "svg.hashsalt": "registry",  # Equal documents give equal bytes.
    "font.family": "sans-serif",
    "font.size": 10,
    "text.parse_math": False,  # A dollar sign is a dollar sign.
    "text.color": GREY,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "axes.titlecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "grid.color": GREY,
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
    inked = written.getvalue().replace(GREY.encode(), INK.encode())
    return _START.sub(rf'\1 class="picture"><style>{LOOK}</style>'.encode(), inked, count=1)


def legend_below(figure: "Figure", columns: int = 2) -> None:
    """A legend without a box under the axes, where it covers no line."""
    figure.legend(loc="outside lower center", frameon=False, fontsize=9, ncols=columns)


def whole_numbers(axes: "Axes") -> None:
    """Marks the horizontal axis at whole numbers: there is no generation 1.5."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
