"""Pictures drawn on the server, in a page: as an image, which runs nothing."""

from base64 import b64encode

from gradio.components.plot import PlotData


def picture(svg: bytes | None) -> PlotData | None:
    """The value of a `gr.Plot` that shows an SVG; None shows nothing."""
    if svg is None:
        return None
    return PlotData(type="matplotlib", plot=f"data:image/svg+xml;base64,{b64encode(svg).decode('ascii')}")
