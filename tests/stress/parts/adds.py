"""Sixteen processes that add experts at once, half to one task that all share, half to one of their own."""

import json
import time
from pathlib import Path

from registry import Registry
from tests.registry.samples import BASE, FINGERPRINT, RUN, add_dataset, payload
from tests.stress.forks import together
from tests.stress.sizes import sized

TITLE = "16 processes add experts to one registry at once"
TARGET = "8,000 adds, 0 lost, 0 errors, no version gap"
MINUTES = 1.5
SMALL = 0.02

PROCESSES = 16
ADDS = 500
SHARED = "shared"


def run(folder: Path, scale: float) -> dict[str, int | float]:
    """Counts what was said to be done, lost and failed, gaps among versions, and problems."""
    home, adds = folder / "home", sized(ADDS, scale)
    with Registry(home) as registry:
        registry.add_base_model(BASE)
        for task in (SHARED, *(f"own-{process}" for process in range(PROCESSES))):
            add_dataset(registry, task)
    started = time.monotonic()
    failed = together([lambda process=process: add(home, process, adds) for process in range(PROCESSES)])
    seconds = time.monotonic() - started
    said = [json.loads(path.read_text()) for path in home.glob("said-*.json")]
    acknowledged = [name for one in said for name in one["names"]]
    with Registry(home) as registry:
        stored = registry.experts(all_versions=True)
        problems = registry.verify()
    present = {f"{expert.name} {expert.settings_key}" for expert in stored}
    newest = {expert.task: expert.version for expert in stored}
    return {
        "adds": len(acknowledged),
        "missing": PROCESSES * adds - len(acknowledged),
        "lost": len(set(acknowledged) - present) + len(acknowledged) - len(set(acknowledged)),
        "gaps": sum(newest.values()) - len(stored),
        "errors": failed,
        "problems": len(problems),
        "s_longest_wait": round(max((one["longest"] for one in said), default=0.0), 2),
        "adds_per_s": round(len(acknowledged) / seconds, 1),
    }


def reached(figures: dict[str, int | float]) -> bool:
    """Nothing is lost, refused or skipped."""
    return figures["adds"] > 0 and not any(
        figures[name] for name in ("missing", "lost", "gaps", "errors", "problems")
    )


def add(home: Path, process: int, adds: int) -> None:
    """Adds experts and notes down each that the registry said it had added, and how long that took."""
    own = f"own-{process}"
    acknowledged: list[str] = []
    longest = 0.0
    with Registry(home) as registry:
        for number in range(adds):
            started = time.monotonic()
            expert = registry.add_expert(
                task=SHARED if number % 2 else own,
                dataset=1,
                base_model=FINGERPRINT,
                adapter="tt_lora",
                config={"process": process, "number": number},
                labels=("no", "yes"),
                parameters=10,
                payload=payload(process * 100_000 + number),
                settings_key=f"{process}-{number}",
                run=RUN,
            )
            longest = max(longest, time.monotonic() - started)
            acknowledged.append(f"{expert.name} {process}-{number}")
    (home / f"said-{process}.json").write_text(json.dumps({"names": acknowledged, "longest": longest}))
