"""How much each expert counts for one text, as bars."""

from collections.abc import Sequence

from ui.plots.drawing import COLOURS, GREY, canvas, svg


def weights(shares: Sequence[tuple[str, float]], chosen: str | None = None) -> bytes:
    """Bars from the top down in the order given, each with its figure; the chosen one is hatched too."""
    figure, axes = canvas(4.6, 0.9 + 0.34 * len(shares))
    places = range(len(shares))
    drawn = axes.barh(
        places,
        [share for _, share in shares],
        height=0.62,
        color=[COLOURS[0] if name == chosen else GREY for name, _ in shares],
    )
    for bar, (name, share) in zip(drawn, shares, strict=True):
        if name == chosen:
            bar.set_hatch("//")
        axes.annotate(
            f"{share:.1%}" + (" chosen" if name == chosen else ""),
            (share, bar.get_y() + bar.get_height() / 2),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_yticks(places, [_short(name) for name, _ in shares])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.34)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
    axes.spines["bottom"].set_bounds(0, 1)
    axes.set_title("Weights of the router", loc="left")
    return svg(figure)


def said(shares: Sequence[tuple[str, float]], chosen: str | None = None) -> str:
    """The bars in words."""
    bars = (f"{name} {share:.1%}" + (" (chosen)" if name == chosen else "") for name, share in shares)
    return f"Weights of the router: {', '.join(bars)}."


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"
