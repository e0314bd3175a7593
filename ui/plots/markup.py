"""SVG written by hand, where a figure library would take a second: boxes, lines, text, links."""

from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from ui.plots.drawing import INK, LOOK

FONT = "system-ui, -apple-system, 'DejaVu Sans', sans-serif"
LETTER = 0.6
"""How wide a letter is, in its height; on the safe side for names."""


def width(said: str, size: float) -> float:
    """How wide a line of text is at most, whatever font draws it."""
    return size * sum(1.0 if letter in "mwMW@%" or not letter.isascii() else 0.64 for letter in said)


def tag(name: str, *inner: str, **attributes: object) -> str:
    """An element; `inner` is markup already. `font_size` is written `font-size`, and `class_` `class`."""
    given = "".join(
        f" {key.rstrip('_').replace('_', '-')}={quoteattr(str(value))}" for key, value in attributes.items()
    )
    return f"<{name}{given}>{''.join(inner)}</{name}>" if inner else f"<{name}{given}/>"


def text(said: str, x: float, y: float, size: float = 11, **attributes: object) -> str:
    """A line of text; whatever it holds is text."""
    return tag("text", plain(said), x=f"{x:.1f}", y=f"{y:.1f}", font_size=size, **attributes)


def plain(said: str) -> str:
    """Text that XML can hold, as text: control characters become replacement characters."""
    fit = "".join(c if c.isprintable() or c == " " else "\N{REPLACEMENT CHARACTER}" for c in said)
    return escape(fit.encode("utf-8", "replace").decode("utf-8"))


def document(
    width: float, height: float, parts: Iterable[str], title: str, *, scale: float = 1.0, links: bool = False
) -> bytes:
    """A whole picture on transparent ground, its text in the common ink.

    Args:
        scale: how much larger it is shown; links: whether there is something in it to go to.
    """
    whole = tag(
        "svg",
        tag("title", plain(title)),
        tag("style", LOOK),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        width=f"{scale * width:.0f}",
        height=f"{scale * height:.0f}",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        font_family=FONT,
        fill=INK,
        role="group" if links else "img",
        class_="picture",
    )
    return whole.encode("utf-8")
