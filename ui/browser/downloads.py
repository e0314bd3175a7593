"""Frozen files under a name that people know."""

import os
import tempfile
from pathlib import Path

from registry import Expert, Registry
from registry.disk import private_folder


def uploads(registry: Registry) -> Path:
    """The folder for uploads, which is a cache."""
    return Path(os.environ.get("GRADIO_TEMP_DIR") or registry.cache / "browser")


def copy_of(registry: Registry, expert: Expert) -> str:
    """The path of a copy of an expert's tensors, where the server may give it away.

    The copy lies in the folder for uploads, which is a cache: what is asked for again is there once.

    Raises:
        DamagedError: The file is not what was frozen.
    """
    content = registry.blobs.get(expert.sha256)
    folder = private_folder(private_folder(uploads(registry)) / expert.sha256)
    path = folder / f"{expert.name}.safetensors"
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        file.write(content)
    # Whole or not at all, also when two ask at once.
    Path(file.name).replace(path)
    return str(path)
