"""The report of a stress run, written from the results of its parts."""

import json
from pathlib import Path
from typing import Any

from tests.stress.machine import ROOT
from tests.stress.part import load, names
from tests.stress.sizes import clock

FILE = ROOT / "docs" / "results" / "reliability.md"

HEAD = """# Reliability under stress

Written by `make stress`, which runs every part below at full size, with real processes, real kills and
real files, and goes on where it was interrupted. `make test` runs all of them smaller, in seconds. To repeat
one part, delete its result in `.stress/` first, or give it another folder:

    python -m tests.stress --work FOLDER --only PART

| part | what | target | reached | | time |
|---|---|---|---|---|---|
"""


def write(work: Path) -> None:
    """Writes the report from the results in `work`."""
    results = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(work.glob("*.json"))
        if path.stem in names()
    }
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(render(results), encoding="utf-8")


def render(results: dict[str, dict[str, Any]]) -> str:
    """The report as Markdown; a part without a result is in it as not run."""
    rows = "".join(_row(name, results.get(name)) for name in names())
    return HEAD + rows + "".join(f"\n{line}\n" for line in _where(list(results.values())))


def read_out(figures: dict[str, int | float]) -> str:
    """Figures as they are read: `8,000 adds, 0 lost`."""
    return ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in figures.items())


def _row(name: str, result: dict[str, Any] | None) -> str:
    part = load(name)
    if result is None:
        return f"| {name} | {part.TITLE} | {part.TARGET} | not run | | |\n"
    scale = "" if result["scale"] == 1 else f"at scale {result['scale']:g}: "
    verdict = "yes" if result["reached"] else "**no**"
    cells = (
        name,
        part.TITLE,
        part.TARGET,
        scale + read_out(result["figures"]),
        verdict,
        clock(result["seconds"]),
    )
    return f"| {' | '.join(cells)} |\n"


def _where(results: list[dict[str, Any]]) -> list[str]:
    """Machines, versions and commits; usually one of each."""
    lines = []
    for title, key in (("Machine", "machine"), ("Versions", "versions"), ("Commit", "commit")):
        found: dict[str, list[str]] = {}
        for result in results:
            value = result[key]
            text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
            found.setdefault(text, []).append(result["part"])
        for text, parts in found.items():
            of = "" if len(found) == 1 else f" ({', '.join(parts)})"
            lines.append(f"{title}{of}: {text}.")
    return lines
