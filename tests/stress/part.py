"""Runs one part in this process: `python -m tests.stress.part NAME FOLDER SCALE RESULT`.

The figures go to the file RESULT, and from there into the report.
"""

import json
import sys
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType

from tests.stress.machine import surroundings

PARTS = Path(__file__).parent / "parts"


def names() -> list[str]:
    """Every part, by file name."""
    return sorted(path.stem for path in PARTS.glob("*.py") if path.stem != "__init__")


def load(name: str) -> ModuleType:
    """The module of a part."""
    return import_module(f"tests.stress.parts.{name}")


def run(name: str, folder: Path, scale: float, result: Path) -> None:
    """Runs the part in `folder` and writes what came of it to `result`, whole or not at all."""
    part = load(name)
    started = time.monotonic()
    figures = part.run(folder, scale)
    document = {
        "part": name,
        "reached": part.reached(figures),
        "figures": figures,
        "seconds": round(time.monotonic() - started, 1),
        "scale": scale,
        **surroundings(),
    }
    temporary = result.with_suffix(".tmp")
    temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    temporary.replace(result)


if __name__ == "__main__":
    _, name, folder, scale, result = sys.argv
    run(name, Path(folder), float(scale), Path(result))
