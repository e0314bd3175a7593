"""Five clients add, promote, collect and read while one of them is killed every two seconds.

Each client writes down what it asks before it asks, and the answer when it has it. Afterwards everything that
anybody was told must hold: see `tests.stress.histories`.
"""

import json
import os
import random
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from registry import NotFoundError, Registry
from registry.garbage import collect
from tests.registry.samples import BASE, FINGERPRINT, RUN, add_dataset, add_expert, payload
from tests.stress.forks import start
from tests.stress.histories import KINDS, Operation, wrong
from tests.stress.sizes import Progress

TITLE = "5 clients add, promote, collect and read; one of them is killed every 2 s"
TARGET = "5 minutes: acknowledged means present, versions unique and in order, reads never go back"
MINUTES = 5.5
SMALL = 0.015

CLIENTS = 5
SECONDS = 300.0
EVERY = 2.0
TASKS = ("one", "two")
Say = Callable[..., None]


def run(folder: Path, scale: float) -> dict[str, int | float]:
    """Lets the clients work and die; counts what they did and what of it does not hold."""
    home, logs = folder / "home", folder / "logs"
    logs.mkdir()
    with Registry(home) as registry:
        add_expert(registry, "first")
        registry.add_base_model(BASE)
        for task in TASKS:
            add_dataset(registry, task)
    seconds = SECONDS * scale
    kills = disturbed(home, logs, seconds, min(EVERY, seconds / 4))
    said = [json.loads(line) for path in sorted(logs.iterdir()) for line in path.read_text().splitlines()]
    operations = history(said)
    with Registry(home) as registry:
        found = wrong(operations, final(registry))
        problems = len(registry.verify())
    return {
        "operations": len(operations),
        "answered": sum(operation.answered is not None for operation in operations),
        "kills": kills,
        **{kind: found[kind] for kind in KINDS},
        "errors": sum(line["what"] == "error" for line in said),
        "problems": problems,
    }


def reached(figures: dict[str, int | float]) -> bool:
    """Clients were killed, others went on, and all that was said holds."""
    nothing = (*KINDS, "errors", "problems")
    return figures["answered"] > 0 and figures["kills"] > 0 and not any(figures[name] for name in nothing)


def disturbed(home: Path, logs: Path, seconds: float, every: float) -> int:
    """Keeps five clients at work and kills one of them now and then; the number of kills."""
    stop, chance, kills, clients = logs.parent / "stop", random.Random(0), 0, {}
    progress = Progress(round(seconds / every), "kills")
    for number in range(CLIENTS):
        clients[number] = start(partial(client, home, logs, stop, f"{number}-0"))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(every * chance.uniform(0.9, 1.1))
        number = chance.randrange(CLIENTS)
        os.kill(clients[number], signal.SIGKILL)
        os.waitpid(clients[number], 0)
        kills += 1
        clients[number] = start(partial(client, home, logs, stop, f"{number}-{kills}"))
        progress.step()
    stop.touch()
    for process in clients.values():
        os.waitpid(process, 0)
    return kills


def client(home: Path, logs: Path, stop: Path, name: str) -> None:
    """Does one thing after another until it is killed or the stop file is there."""
    chance = random.Random(name)
    # Unbuffered, so that a kill loses nothing that was written down.
    with Registry(home) as registry, (logs / f"{name}.jsonl").open("ab", buffering=0) as log:

        def say(what: str, **about: Any) -> None:
            log.write((json.dumps({"what": what, "at": time.monotonic(), **about}) + "\n").encode())

        number = 0
        while not stop.exists():
            number += 1
            work = chance.choices((add, generation, read, sweep), (4, 2, 6, 1))[0]
            try:
                work(registry, say, f"{name}-{number}", chance)
            except Exception as error:
                say("error", error=repr(error))
                raise


def add(registry: Registry, say: Say, key: str, chance: random.Random) -> None:
    """Adds an expert to a task that all share; its settings key is the operation's."""
    task = chance.choice(TASKS)
    say("ask", id=key, subject=task, key=key)
    made = registry.add_expert(
        task=task,
        dataset=1,
        base_model=FINGERPRINT,
        adapter="tt_lora",
        config={},
        labels=("no", "yes"),
        parameters=10,
        # Some of them are the same bytes, so that the collector and several publishers meet at one blob.
        payload=payload(chance.randrange(1_000)),
        settings_key=key,
        run=RUN,
    )
    say("answer", id=key, version=made.version)


def generation(registry: Registry, say: Say, key: str, chance: random.Random) -> None:
    """Adds a generation and lets `production` stand for it, which is a second operation."""
    say("ask", id=key, subject="router", key=key)
    made = registry.add_generation(
        router="closed_form",
        config={"key": key},
        base_model=FINGERPRINT,
        experts=["first@1"],
        parameters=30,
        payload=payload(chance.randrange(1_000)),
        run=RUN,
    )
    say("answer", id=key, version=made.number)
    say("ask", id=f"{key}+", subject="production", key=made.name)
    registry.promote(made.name)
    say("answer", id=f"{key}+")


def read(registry: Registry, say: Say, key: str, chance: random.Random) -> None:
    """Reads the newest expert of a task, the newest generation, or the one in production."""
    subject = chance.choice((*TASKS, "router", "production"))
    say("ask", id=key, subject=subject, reads=True)
    try:
        if subject == "router":
            seen = registry.generation("router").config["key"]
        elif subject == "production":
            seen = registry.generation("router@production").name
        else:
            seen = registry.expert(subject).settings_key
    except NotFoundError:
        seen = None
    say("answer", id=key, seen=seen)


def sweep(registry: Registry, say: Say, key: str, chance: random.Random) -> None:
    """Collects whatever nothing refers to at this moment."""
    collect(registry, grace=timedelta(0))


def history(said: list[dict[str, Any]]) -> list[Operation]:
    """The operations that the clients wrote down, with their answers where there was one."""
    answers = {line["id"]: line for line in said if line["what"] == "answer"}
    operations = []
    for line in said:
        if line["what"] == "ask":
            answer = answers.get(line["id"], {})
            reads = line.get("reads", False)
            key = answer.get("seen") if reads else line["key"]
            told = answer.get("at"), answer.get("version")
            operations.append(Operation(line["subject"], key, reads, line["at"], *told))
    return operations


def final(registry: Registry) -> dict[str, list[str]]:
    """Every subject's list as the registry has it in the end."""
    found = {task: [one.settings_key for one in registry.experts(task, all_versions=True)] for task in TASKS}
    found["router"] = [made.config["key"] for made in registry.generations()]
    try:
        found["production"] = [str(event.target) for event in reversed(registry.history())]
    except NotFoundError:
        found["production"] = []
    return found
