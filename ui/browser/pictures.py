"""Pictures drawn on the server, in a page: as an image, which runs nothing, and in words."""

import tempfile
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import gradio as gr
from gradio.components.plot import PlotData

from registry.disk import private_folder


class Drawn(PlotData):
    """An image as Gradio's plots know it.

    Attributes:
        chart: what the picture shows; the page says it before "plot visualising provided data".
    """

    chart: str


def frame(label: str) -> gr.Plot:
    """A place for a picture, which is not there as long as it is empty."""
    return gr.Plot(label=label, show_label=False, visible=False)


def picture(svg: bytes | None, words: str = "") -> gr.Plot:
    """What a frame becomes: an SVG, with `words` that say the same; None makes it go away."""
    if svg is None:
        return gr.Plot(value=None, visible=False)
    source = f"data:image/svg+xml;base64,{b64encode(svg).decode('ascii')}"
    return gr.Plot(value=Drawn(type="matplotlib", plot=source, chart=words), visible=True)


def file_of(svg: bytes | None, folder: Path) -> str | None:
    """The value of a `gr.Image` that shows an SVG, and tells where somebody clicks on it: the path of a file.

    Gradio reads it and sends it as an image, which runs nothing. The folder is a cache.
    """
    if svg is None:
        return None
    path = private_folder(folder) / f"{sha256(svg).hexdigest()}.svg"
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        file.write(svg)
    # Whole or not at all, also when two ask at once.
    Path(file.name).replace(path)
    return str(path)
