"""What the files of a base model tell, when they are on this machine: nothing is fetched or loaded."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from registry.errors import DamagedError, InvalidSettingError
from trainer.sources.built_ins import BUILT_INS, DEFAULT
from trainer.sources.folders import check_folder, read_json, weight_files
from trainer.sources.hub import parse_hub_id
from trainer.sources.publish import cache_root

_INSIDE_LAYER = re.compile(r"(?:^|\.)(\d+)\.(.+)\.weight$")


@dataclass(frozen=True, slots=True)
class Outline:
    """The sizes of a base model, as its files tell them.

    Attributes:
        hidden: width of the states.
        linear: of each layer, its matrices by full name inside the layer: (inputs, outputs).
    """

    parameters: int
    layers: int
    hidden: int
    linear: tuple[dict[str, tuple[int, int]], ...]

    def targets(self, names: Collection[str], first_layer: int) -> list[tuple[int, int]]:
        """The sizes of the linear layers that adapters attach to, as `BaseModel.targets` finds them.

        Args:
            names: last names, such as `q_proj`; one with a dot is a full name.
        """
        return [
            size
            for layer in self.linear[first_layer:]
            for name, size in layer.items()
            if name in names or name.rsplit(".", 1)[-1] in names
        ]


def outline(spec: str | None, *, cache: Path | None = None) -> Outline | None:
    """The sizes of the base model that a spec names; None when its files are not here, or are damaged."""
    folder = _folder(DEFAULT if spec is None else spec, cache_root(cache))
    if folder is None or not folder.is_dir():
        return None
    try:
        check_folder(folder)
        config = read_json(folder / "config.json")
        layers, hidden = int(config["num_hidden_layers"]), int(config["hidden_size"])
        return _outlined(_shapes(folder), layers, hidden)
    except (DamagedError, InvalidSettingError, KeyError, TypeError, ValueError):
        return None


def _folder(spec: str, cache: Path) -> Path | None:
    path = Path(spec).expanduser()
    if spec in BUILT_INS:
        return cache / "models" / BUILT_INS[spec].key
    if spec and path.is_dir():
        return path
    hub = None if path.exists() or spec.startswith((".", "/", "~")) else parse_hub_id(spec)
    if hub is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(hub[0], "config.json", revision=hub[1])
    return Path(found).parent if isinstance(found, str) else None


def _shapes(folder: Path) -> dict[str, list[int]]:
    """The shape of each tensor, from the heads of the files that hold them."""
    found: dict[str, list[int]] = {}
    for file in weight_files(folder):
        with file.open("rb") as opened:
            head = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
        found |= {name: about["shape"] for name, about in head.items() if name != "__metadata__"}
    return found


def _outlined(shapes: dict[str, list[int]], layers: int, hidden: int) -> Outline:
    linear: list[dict[str, tuple[int, int]]] = [{} for _ in range(layers)]
    parameters = 0
    for name, shape in shapes.items():
        size = 1
        for length in shape:
            size *= length
        parameters += size
        inside = _INSIDE_LAYER.search(name)
        if inside is not None and len(shape) == 2 and int(inside[1]) < layers:
            linear[int(inside[1])][inside[2]] = (shape[1], shape[0])
    return Outline(parameters, layers, hidden, tuple(linear))
