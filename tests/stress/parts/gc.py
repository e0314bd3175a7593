"""Publishers of the same 50 blobs against a sweeper that spares nothing.

A third of what is published are experts, which stay. The others are caches that replace each other and inputs
of jobs that end, so that blobs come and go all the time. After each publish its publisher looks, in a
transaction, where nobody can interfere, whether everything that any row refers to is there.
"""

import json
import os
import random
import shutil
from collections import Counter
from datetime import timedelta
from functools import partial
from pathlib import Path

from registry import Registry
from registry.blobs import Blobs
from registry.fsck import examine
from registry.garbage import collect
from registry.jobs import Jobs
from registry.references import referenced
from tests.registry.samples import BASE, FINGERPRINT, RUN, add_dataset, payload
from tests.stress.forks import start, together
from tests.stress.sizes import Progress, sized

TITLE = "4 publishers of the same 50 blobs against a sweeper with no grace"
TARGET = "10,000 publishes: 0 dangling"
MINUTES = 2.5
SMALL = 0.02

BLOBS = 50
PUBLISHERS = 4
ROUNDS = 50
SLOTS = 5
WRONG = ("dangling", "failed", "problems", "uncollected")


class Counting(Blobs):
    """Blobs that count how often one had gone just before a row was to refer to it."""

    stored_again = 0

    def ensure(self, sha256: str, content: bytes) -> None:
        self.stored_again += not self.has(sha256)
        super().ensure(sha256, content)


def run(folder: Path, scale: float) -> dict[str, int | float]:
    """Races in one home after another; counts publishes, blobs that had to be stored again, and the wrong."""
    rounds = sized(ROUNDS, scale)
    progress = Progress(rounds, "homes")
    tally: Counter[str] = Counter()
    for number in range(rounds):
        tally.update(race(folder / str(number)))
        shutil.rmtree(folder / str(number))
        progress.step()
    return {name: tally[name] for name in ("publishes", "collected", "stored_again", *WRONG)}


def reached(figures: dict[str, int | float]) -> bool:
    """Blobs were collected all the time, and nothing was missing where a row referred to it."""
    return figures["publishes"] > 0 and figures["collected"] > 0 and not any(figures[name] for name in WRONG)


def race(folder: Path, blobs: type[Counting] = Counting) -> Counter[str]:
    """The publishers against the sweeper, once, in a new home."""
    home = folder / "home"
    with Registry(home) as registry:
        registry.add_base_model(BASE)
        add_dataset(registry, "task")
    sweeper = start(partial(sweep, home, folder))
    failed = together([partial(publish, home, folder, number, blobs) for number in range(PUBLISHERS)])
    (folder / "stop").touch()
    failed += os.waitpid(sweeper, 0)[1] != 0
    tally: Counter[str] = Counter(failed=failed)
    for path in folder.glob("*.json"):
        tally.update(json.loads(path.read_text()))
    with Registry(home) as registry:
        collect(registry, grace=timedelta(0))
        tally["uncollected"] += collect(registry, grace=timedelta(0)).blobs
        tally["problems"] += len(examine(registry, deep=True).problems)
    return tally


def sweep(home: Path, folder: Path) -> None:
    """Collects until the publishers have ended."""
    collected = 0
    with Registry(home) as registry:
        while not (folder / "stop").exists():
            collected += collect(registry, grace=timedelta(0)).blobs
    (folder / "sweeper.json").write_text(json.dumps({"collected": collected}))


def publish(home: Path, folder: Path, publisher: int, blobs: type[Counting]) -> None:
    """Publishes each of the blobs once, as an expert or as a cache, in an order of its own."""
    chance = random.Random(publisher)
    order = chance.sample(range(BLOBS), BLOBS)
    ways = (as_expert, as_cache, as_input)
    dangling = 0
    with Registry(home) as registry:
        registry.blobs = counting = blobs(home / "blobs")
        registry.jobs = Jobs(home, registry._database, counting)
        for number in order:
            ways[(number + publisher) % len(ways)](registry, payload(number), f"{publisher}-{number}")
            with registry.transaction():
                dangling += sum(not counting.has(digest) for digest in registry._database.read(referenced))
    found = {"publishes": len(order), "dangling": dangling, "stored_again": counting.stored_again}
    (folder / f"publisher-{publisher}.json").write_text(json.dumps(found))


def as_expert(registry: Registry, content: bytes, key: str) -> None:
    """An expert refers to its blob for good."""
    registry.add_expert(
        task="task",
        dataset=1,
        base_model=FINGERPRINT,
        adapter="tt_lora",
        config={},
        labels=("no", "yes"),
        parameters=10,
        payload=content,
        settings_key=key,
        run=RUN,
    )


def as_cache(registry: Registry, content: bytes, key: str) -> None:
    """A cache refers to its blob until another takes its place."""
    registry.add_features(f"slot {sum(key.encode()) % SLOTS}", content, {})


def as_input(registry: Registry, content: bytes, key: str) -> None:
    """A job refers to its input until it is done: here every other one is, sooner or later."""
    registry.jobs.enqueue("race", {"key": key}, inputs=[content])
    owner = registry.jobs.owner()
    claim = registry.jobs.claim(owner, 3_600)
    if claim is not None and claim.job % 2:
        registry.jobs.finish(claim, {})
    elif claim is not None:
        registry.jobs.release(claim)
    owner.close()
