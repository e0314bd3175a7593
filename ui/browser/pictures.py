"""Pictures drawn on the server, in a page: as an image, which runs nothing."""

import tempfile
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from gradio.components.plot import PlotData

from registry.disk import private_folder


def picture(svg: bytes | None) -> PlotData | None:
    """The value of a `gr.Plot` that shows an SVG; None shows nothing."""
    if svg is None:
        return None
    return PlotData(type="matplotlib", plot=f"data:image/svg+xml;base64,{b64encode(svg).decode('ascii')}")


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
