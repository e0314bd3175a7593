"""Many processes that open one home at once: `python -m tests.registry.starts --processes 8 --rounds 25`.

A new home, a new home with a write-ahead log, and a home that all of them migrate. Prints the counts as JSON.
"""

import argparse
import json
import tempfile
from pathlib import Path

from registry import Registry, migration
from registry.database import FILE
from tests.registry.crash import REVISIONS
from tests.registry.samples import add_expert
from tests.stress.forks import together


def measure(folder: Path, processes: int, rounds: int) -> dict[str, int]:
    """Counts of starts, of those that failed, and of problems that `verify` found afterwards."""
    failed = problems = 0
    for number in range(rounds):
        new, ahead, old = (folder / f"{kind}-{number}" for kind in ("new", "ahead", "old"))
        ahead.mkdir()
        (ahead / FILE).touch()
        with Registry(old) as registry:
            add_expert(registry)
        failed += together([lambda home=new: add_expert(Registry(home))] * processes)
        failed += together([lambda path=ahead / FILE: migration.create(path, journal="WAL")] * processes)
        failed += together([lambda path=old / FILE: migration.upgrade(path, [REVISIONS])] * processes)
        for home, versions in ((new, processes), (ahead, 0)):
            with Registry(home) as registry:
                problems += len(registry.verify())
                problems += len(registry.experts(all_versions=True)) != versions
    return {"starts": 3 * processes * rounds, "failed": failed, "problems": problems}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=25)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(measure(Path(name), given.processes, given.rounds)))
