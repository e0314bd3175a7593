"""`kill -9` at random moments of the real commands, alone or with all that they have started."""

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from registry import Registry, examine, restore
from registry.errors import NotFoundError
from tests.stress.machine import ROOT
from tests.stress.parts.rot import filled
from tests.stress.sizes import Progress, sized

TITLE = "the real commands are killed at random moments of their first 5 s"
TARGET = (
    "300 rounds of add-task, retrain-router, evaluate, worker, gc and backup: fsck clean after each, nothing "
    "acknowledged lost, and the same command again succeeds"
)
MINUTES = 25.0
SMALL = 0.004

ROUNDS = 300
LANES = 2
LATEST = 5.0
"""Seconds into a command after which it is left alone."""
SEED = 20_261_122
PATIENCE = 300.0
"""Seconds within which a command has to end that nobody kills."""

LIGHT = {"gc": 2, "backup": 2}
HEAVY = {"add-task": 5, "retrain-router": 2, "evaluate": 2, "worker": 2}
"""Commands and how often each is drawn. The heavy ones load torch: a small run has no time for that."""

WRONG = ("problems", "lost", "failed_again", "unfinished", "bad_backups")


def run(folder: Path, scale: float) -> dict[str, int | float]:
    """Counts the rounds, the kills that came in time, and what was wrong after them."""
    rounds, small = sized(ROUNDS, scale), scale < 0.02
    lanes = 1 if small else LANES
    if not small:
        from tests.tiny_models import tiny_llama

        tiny_llama(folder / "model")
    progress = Progress(rounds, "rounds")
    counts: Counter[str] = Counter(dict.fromkeys(("rounds", "kills", "acknowledged", *WRONG), 0))
    with ThreadPoolExecutor(lanes) as pool:
        made = [Lane(folder, number, LIGHT if small else LIGHT | HEAVY) for number in range(lanes)]
        shares = [range(number, rounds, lanes) for number in range(lanes)]
        for ended in pool.map(lambda lane, share: lane.rounds(share, progress), made, shares):
            counts.update(ended)
    return dict(counts)


def reached(figures: dict[str, int | float]) -> bool:
    """Half of the kills at least came in time (of a few rounds, any), and nothing was wrong after any."""
    rounds, kills = figures["rounds"], figures["kills"]
    enough = 2 * kills >= rounds if rounds >= 20 else rounds > 0
    return enough and not any(figures[name] for name in WRONG)


@dataclass
class Ended:
    """How a command ended: its code, `-9` when it was killed, and what it printed."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def said(self) -> dict[str, Any]:
        """The JSON document that it printed whole, else nothing."""
        try:
            found = json.loads(self.out)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


@dataclass
class Lane:
    """One home in which commands are killed, one after the other, and what they have acknowledged."""

    folder: Path
    number: int
    weights: dict[str, int]
    acknowledged: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.work = self.folder / f"lane-{self.number}"
        self.home, self.model = self.work / "home", self.folder / "model"
        self.work.mkdir()
        self.chance = random.Random(SEED + self.number)
        self.takes = {**dict.fromkeys(HEAVY, LATEST), **dict.fromkeys(LIGHT, 0.8)}
        if HEAVY.keys() & self.weights.keys():
            self.acknowledge(self.perform(self.arguments("add-task", 0)))
            self.acknowledge(self.perform(self.arguments("retrain-router", 0)))
        else:
            filled(self.home)

    def rounds(self, numbers: range, progress: Progress) -> Counter[str]:
        """Plays the rounds with these numbers, then tidies up and looks at everything once more."""
        for number in numbers:
            self.round(number + 1)
            progress.step()
        self.again("the last gc", ["gc", "--grace", "0"])
        self.look("the end", deep=True)
        with Registry(self.home) as registry:
            for job in registry.jobs.list("queued", "running", "needs_recovery", "failed", "cancelled"):
                self.wrong("unfinished", "the end", f"job {job.id} ({job.kind}) is {job.state}: {job.error}")
        self.counts["acknowledged"] = len(self.acknowledged)
        return self.counts

    def round(self, number: int) -> None:
        """Kills one command at some moment, looks what it left, and runs it again."""
        [command] = self.chance.choices([*self.weights], [*self.weights.values()])
        if command == "worker":
            # What it is to do; `--detach` answers with the job's number.
            self.acknowledge(self.again(f"{number} add-task", self.arguments("add-task", number, "--detach")))
        arguments = self.arguments(command, number)
        name = f"{number} {' '.join(arguments)}"
        latest = min(LATEST, self.takes[command])
        killed = self.perform(
            arguments, after=self.chance.uniform(0, latest), tree=self.chance.random() < 0.5
        )
        self.counts["rounds"] += 1
        self.counts["kills"] += killed.code == -9
        if killed.code not in (0, -9):
            self.wrong("failed_again", name, f"exit code {killed.code}: {killed.err[-300:]}")
        self.acknowledge(killed)
        self.look(name, deep=number % 10 == 0)
        if command == "backup" and (self.work / f"backup-{number}").exists():
            self.check_backup(number)  # Killed, if at all, when all was done; it would not overwrite that.
            return
        ended = self.again(name, arguments)
        self.takes[command] = 0.5 * self.takes[command] + 0.5 * ended.seconds
        self.look(name, deep=False)
        if command == "backup" and number % 5 == 0:
            self.check_backup(number)

    def again(self, name: str, arguments: list[str]) -> Ended:
        """Runs a command that nobody kills; it has to succeed."""
        ended = self.perform(arguments)
        if ended.code:
            self.wrong("failed_again", name, f"exit code {ended.code}: {ended.err[-300:]}")
        self.acknowledge(ended)
        return ended

    def arguments(self, command: str, number: int, *more: str) -> list[str]:
        """The command line; each number makes rows of its own and thereby an expert of its own."""
        cpu = ["--device", "cpu", "--json"]
        if command == "add-task":
            from tests.trainer.samples import TASKS, write

            task = "mood" if number % 2 == 0 else "question"
            rows, folder = TASKS[task][0], self.work / f"rows-{number}"
            folder.mkdir(exist_ok=True)
            path = write(folder, task, rows=[*rows, (f"This is number {number}.", rows[0][1])])
            options = ["--base-model", str(self.model), "--epochs", "3", *cpu, *more]
            return ["add-task", "--data", str(path), "--name", task, *options]
        return {
            "retrain-router": ["retrain-router", "--router", "closed_form", "--promote", *cpu],
            "evaluate": ["evaluate", *cpu],
            "worker": ["worker", "--drain"],
            "gc": ["gc", "--grace", "0", "--json"],
            "backup": ["backup", str(self.work / f"backup-{number}"), "--json"],
        }[command]

    def perform(self, arguments: list[str], after: float | None = None, tree: bool = False) -> Ended:
        """Runs `registry` with the arguments; after so many seconds it is killed, with its children too."""
        cache = {"REGISTRY_CACHE": str(self.work / "cache"), "REGISTRY_HOME": str(self.home)}
        started = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-m", "ui.cli", *arguments],
            cwd=ROOT,
            env={**os.environ, **cache},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate(timeout=PATIENCE if after is None else after)
            except subprocess.TimeoutExpired:
                doomed = [psutil.Process(process.pid)]
                doomed += doomed[0].children(recursive=True) if tree else []
                for one in doomed:
                    try:
                        one.kill()
                    except psutil.NoSuchProcess:  # It has ended by itself in this moment.
                        continue
                out, err = process.communicate()
        return Ended(process.returncode, out, err, time.monotonic() - started)

    def acknowledge(self, ended: Ended) -> None:
        """Notes what a command said that it has made: also one that was killed when it had said so."""
        said = ended.said
        for key, digest in (("expert", "sha256"), ("generation", "generation"), ("job", "job")):
            if said.get(key):
                self.acknowledged[f"{key} {said[key]}"] = str(said[digest])

    def look(self, name: str, *, deep: bool) -> None:
        """What `fsck` finds, and whether all that was acknowledged is there."""
        with Registry(self.home) as registry:
            for problem in examine(registry, deep=deep).problems:
                self.wrong("problems", name, f"{problem.subject} {problem.what}")
            for thing, digest in self.acknowledged.items():
                kind, ref = thing.split()
                try:
                    if kind == "job":
                        registry.jobs.get(int(ref))
                        continue
                    found = registry.expert(ref).sha256 if kind == "expert" else registry.generation(ref).name
                    if found != digest:
                        self.wrong("lost", name, f"{ref} is {found}, not {digest}")
                except NotFoundError as error:
                    self.wrong("lost", name, str(error))

    def check_backup(self, number: int) -> None:
        """A backup under its own name is whole, whoever was killed while making it."""
        home = self.work / f"restored-{number}"
        restore(self.work / f"backup-{number}", home)
        with Registry(home) as registry:
            for problem in examine(registry, deep=True).problems:
                self.wrong("bad_backups", f"{number} backup", f"{problem.subject} {problem.what}")

    def wrong(self, what: str, name: str, why: str) -> None:
        """Counts something that should not be, and says it."""
        self.counts[what] += 1
        print(f"{what}: lane {self.number}, after {name}: {why}", file=sys.stderr, flush=True)
