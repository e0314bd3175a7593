"""Many processes that add experts at once: `python -m tests.registry.stress --processes 16 --adds 500`.

Each adds half to one task that all share and half to a task of its own. Prints what was lost, as JSON.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from registry import Registry
from tests.registry.forks import together
from tests.registry.samples import BASE, FINGERPRINT, RUN, add_dataset, payload

SHARED = "shared"


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


def measure(home: Path, processes: int, adds: int) -> dict[str, float]:
    """Counts of adds that were said to be done, lost and failed, gaps among versions, problems, seconds."""
    with Registry(home) as registry:
        registry.add_base_model(BASE)
        for task in (SHARED, *(f"own-{process}" for process in range(processes))):
            add_dataset(registry, task)
    started = time.monotonic()
    failed = together([lambda process=process: add(home, process, adds) for process in range(processes)])
    seconds = time.monotonic() - started
    said = [json.loads(path.read_text()) for path in home.glob("said-*.json")]
    acknowledged = [name for one in said for name in one["names"]]
    with Registry(home) as registry:
        stored = registry.experts(all_versions=True)
        problems = registry.verify()
    present = {f"{expert.name} {expert.settings_key}" for expert in stored}
    newest = {expert.task: expert.version for expert in stored}
    return {
        "processes": processes,
        "adds": len(acknowledged),
        "lost": len(set(acknowledged) - present) + len(acknowledged) - len(set(acknowledged)),
        "gaps": sum(newest.values()) - len(stored),
        "errors": failed,
        "problems": len(problems),
        "longest_wait": round(max((one["longest"] for one in said), default=0.0), 2),
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--adds", type=int, default=500)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder) / "home", given.processes, given.adds)))
