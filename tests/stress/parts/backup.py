"""Backups while others write: each is restored, looked over, and compared with the home that it is of."""

import os
import random
import shutil
import time
from collections import Counter
from datetime import timedelta
from functools import partial
from pathlib import Path

from registry import Lineage, Registry
from registry.backups import back_up, restore
from registry.fsck import examine
from registry.garbage import collect
from registry.lineage import STANDS_FOR
from tests.registry.samples import add_expert, add_generation
from tests.stress.forks import start
from tests.stress.sizes import Progress, sized

TITLE = "backup while 2 processes publish, promote, run jobs and collect; restored and compared"
TARGET = "100 rounds: restored, fsck clean, same lineage"
MINUTES = 2.5
SMALL = 0.03

ROUNDS = 100
ROUNDS_PER_HOME = 10
GROWTH = 15
"""What is written between two backups, at least."""
WRITERS = 2
WRONG = ("problems", "leftovers", "missing", "differences", "writers_failed")


def run(folder: Path, scale: float) -> dict[str, int | float]:
    """Takes backups of one busy home after another; counts what they hold, and what of it is wrong."""
    rounds = sized(ROUNDS, scale)
    progress = Progress(rounds, "rounds")
    tally: Counter[str] = Counter()
    # Few rounds on a fast machine may all fall between two writes: those prove nothing yet.
    while tally["rounds"] < rounds or (not tally["written_meanwhile"] and tally["rounds"] < ROUNDS):
        home = folder / "home"
        with Registry(home) as registry:
            add_generation(registry, add_expert(registry).name)
            registry.promote("router@1")
            stop = folder / "stop"
            writers = [start(partial(write, home, stop, number)) for number in range(WRITERS)]
            for _ in range(min(ROUNDS_PER_HOME, max(1, rounds - tally["rounds"]))):
                tally.update(one_round(folder, registry))
                tally["rounds"] += 1
                progress.step()
            stop.touch()
            tally["writers_failed"] += sum(os.waitpid(writer, 0)[1] != 0 for writer in writers)
        shutil.rmtree(home)
        stop.unlink()
    return {name: tally[name] for name in ("rounds", "experts", "written_meanwhile", *WRONG)}


def reached(figures: dict[str, int | float]) -> bool:
    """Others wrote meanwhile, and every backup is a whole registry as it was at one moment."""
    return figures["rounds"] > 0 and figures["written_meanwhile"] > 0 and not any(figures[n] for n in WRONG)


def one_round(folder: Path, live: Registry) -> Counter[str]:
    """Takes a backup, restores it, looks it over and compares it with where it came from."""
    file, home = folder / "backup.tar", folder / "restored"
    enough, patience = len(_names(live)) + GROWTH, time.monotonic() + 30
    # A writer that has died is counted in the end.
    while len(before := _names(live)) < enough and time.monotonic() < patience:
        time.sleep(0.02)
    back_up(live, file)
    after = _names(live)
    restore(file, home)
    with Registry(home) as restored:
        report = examine(restored, deep=True)
        names = _names(restored)
        tally = Counter(
            experts=len(restored.experts(all_versions=True)),
            written_meanwhile=len(after - before),
            problems=len(report.problems),
            leftovers=len(report.notes),
            missing=len(before - names),
            differences=len(names - after) + differences(live, restored),
        )
    file.unlink()
    shutil.rmtree(home)
    return tally


def differences(live: Registry, restored: Registry) -> int:
    """How many records, moves, jobs and lineages of the restored home are not those of the live one."""
    theirs = {one.name: one for one in (*live.experts(all_versions=True), *live.generations())}
    ours = {one.name: one for one in (*restored.experts(all_versions=True), *restored.generations())}
    newest = max(made.number for made in restored.generations())
    moves = restored.history()
    done = restored.jobs.list("done")
    return (
        sum(theirs.get(name) != one for name, one in ours.items())
        + (_origin(restored, f"router@{newest}") != _origin(live, f"router@{newest}"))
        # Later generations choose it too.
        + (not _origin(restored, "sst2@1") <= _origin(live, "sst2@1"))
        + (live.history()[-len(moves) :] != moves)
        + sum(live.jobs.get(job.id) != job for job in done)
        # Their workers are not the restored home's.
        + len(restored.jobs.list("running"))
    )


def write(home: Path, stop: Path, writer: int) -> None:
    """Publishes, promotes, runs jobs and collects until the stop file is there."""
    chance = random.Random(writer)
    number = 0
    with Registry(home) as registry:
        while not stop.exists():
            number += 1
            time.sleep(0.01)  # Else the homes grow faster than they can be compared.
            different = (writer + 1) * 100_000 + number
            kind = chance.choices(("expert", "generation", "job", "cache", "gc"), (6, 3, 2, 2, 1))[0]
            if kind == "expert":
                add_expert(registry, number=different)
            elif kind == "generation":
                made = add_generation(registry, "sst2@1", number=different)
                registry.promote(made.name)
            elif kind == "job":
                run_job(registry, different)
            elif kind == "cache":
                registry.add_features("key", f"cache {different}".encode(), {})
            else:
                collect(registry, grace=timedelta(0))


def run_job(registry: Registry, number: int) -> None:
    """Asks for work and does the work that waits longest, so that inputs of jobs come and go."""
    registry.jobs.enqueue("test", {"number": number}, inputs=[f"rows {number}".encode()])
    owner = registry.jobs.owner()
    claim = registry.jobs.claim(owner, 3_600)
    if claim is not None and number % 3:
        registry.jobs.finish(claim, {})
    owner.close()


def _names(registry: Registry) -> set[str]:
    experts = {expert.name for expert in registry.experts(all_versions=True)}
    return experts | {generation.name for generation in registry.generations()}


def _origin(registry: Registry, ref: str) -> set[object]:
    """Everything in a lineage but the aliases, which move."""
    lineage: Lineage = registry.lineage(ref)
    nodes = {node for node in lineage.nodes if node.kind != "alias"}
    return nodes | {edge for edge in lineage.edges if edge.relation != STANDS_FOR}
