"""Workers that are killed, frozen for longer than their lease and told to cancel while they run many jobs."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

from registry import Registry
from registry.database import FILE
from registry.errors import ConflictError
from tests.registry.samples import BASE, add_dataset
from tests.stress.machine import ROOT
from tests.stress.sizes import Progress, sized

TITLE = "4 workers run jobs while they and the work are killed, frozen and cancelled"
TARGET = "1,000 jobs: each published once or honestly failed, none stuck after two leases, zombies fenced"
MINUTES = 14.0
SMALL = 0.01

JOBS = 1_000
WORKERS = 4
LEASE = 3.0
SEED = 20_261_122

KIND = '''"""A job kind for the stress run: some steps, then an expert, published with the end of the job."""

import random
import time
from pathlib import Path

from registry.errors import FencedError, InvalidSettingError
from tests.registry.samples import FINGERPRINT, RUN, payload


def run(registry, job, *, on_progress, finish, guard):
    try:
        work(registry, job, on_progress, finish, guard)
    except FencedError:
        Path(registry.home, f"fenced-{job.id}-{time.time_ns()}").touch()
        raise


def work(registry, job, on_progress, finish, guard):
    draw = random.Random(job.params["number"])
    steps = draw.randint(1, 10)
    for step in range(steps):
        on_progress("stepping", step, steps, "")
        time.sleep(draw.uniform(0, 0.15))
    guard()
    if job.params["number"] % 20 == 7:
        raise InvalidSettingError("this job was made to fail")
    with registry.transaction():
        made = registry.add_expert(
            task="stress",
            dataset=1,
            base_model=FINGERPRINT,
            adapter="tt_lora",
            config={},
            labels=("no", "yes"),
            parameters=10,
            payload=payload(job.params["number"]),
            settings_key=str(job.id),
            run=RUN,
        )
        finish({"expert": made.name})
'''


def run(folder: Path, scale: float) -> dict[str, int | float]:
    """Queues jobs, lets workers at them, torments the workers, and looks at what came of it."""
    home, count = folder / "home", sized(JOBS, scale)
    site = install(folder / "site")
    with Registry(home) as registry:
        registry.add_base_model(BASE)
        add_dataset(registry, "stress")
        for number in range(count):
            registry.jobs.enqueue("stress", {"number": number})
        crowd = Crowd(home, site)
        try:
            done = torment(registry, crowd, count)
        finally:
            crowd.close()
        return {**judge(registry, count), **done, "fenced": len(list(home.glob("fenced-*")))}


def reached(figures: dict[str, int | float]) -> bool:
    """Every job has ended, and those that are done, and only those, have published, once."""
    wrong = (
        "unfinished",
        "published_twice",
        "done_unpublished",
        "ended_published",
        "stuck",
        "problems",
        "gaps",
    )
    return figures["done"] > 0 and figures["kills"] > 0 and not any(figures[name] for name in wrong)


def install(site: Path) -> Path:
    """Makes the job kind a distribution of its own, found as any other distribution's kinds are."""
    about = site / "stress_kind-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "stress_kind.py").write_text(KIND)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: stress-kind\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[expert_registry.jobs]\nstress = stress_kind\n")
    return site


class Crowd:
    """The workers, and whom a signal hits."""

    def __init__(self, home: Path, site: Path) -> None:
        self._command = [sys.executable, "-m", "ui.cli", "--home", str(home), "worker", "--lease", str(LEASE)]
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(site)))}
        self._log = (home.parent / "workers.log").open("ab")
        self.workers = [self._start() for _ in range(WORKERS)]
        self.frozen: set[int] = set()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command, cwd=ROOT, env=self._environment, stdout=self._log, stderr=self._log
        )

    def mend(self) -> int:
        """Starts workers in place of the dead; how many died though nobody had killed them."""
        unasked = 0
        for place, worker in enumerate(self.workers):
            if worker.poll() is not None:
                unasked += worker.returncode != -signal.SIGKILL
                self.workers[place] = self._start()
        return unasked

    def freeze(self, process: int) -> None:
        """Stops a process for longer than a lease.

        A clock wakes it, since whoever looks into the database may have to wait for a lock that it holds.
        """
        hit(process, signal.SIGSTOP)
        self.frozen.add(process)
        clock = threading.Timer(LEASE * 1.6, self._wake, [process])
        clock.daemon = True
        clock.start()

    def _wake(self, process: int) -> None:
        hit(process, signal.SIGCONT)
        self.frozen.discard(process)

    def attempts(self) -> list[int]:
        """The processes that do the work."""
        return [child for worker in self.workers for child in children(worker.pid)]

    def close(self) -> None:
        """Ends the workers; what they had started ends with them, or here if it is frozen and cannot see."""
        for worker in self.workers:
            worker.kill()
            worker.wait()
        for process in tuple(self.frozen):
            hit(process, signal.SIGKILL)
        self._log.close()


def children(process: int) -> list[int]:
    """The processes that a process has started; none when it has ended."""
    try:
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def torment(registry: Registry, crowd: Crowd, count: int) -> dict[str, int | float]:
    """Does something nasty twice a second until every job has ended."""
    draw, done = random.Random(SEED), Counter[str](kills=0, freezes=0, cancels=0, worker_crashes=0, stuck=0)
    progress = Progress(count, "jobs")
    ended = 0
    deadline = time.monotonic() + 60 + 2.0 * count
    while ended < count and time.monotonic() < deadline:
        time.sleep(0.5)
        done["worker_crashes"] += crowd.mend()
        done["stuck"] += overdue(registry.home)
        nasty(registry, crowd, draw, done)
        before, ended = ended, sum(job.ended for job in registry.jobs.list())
        progress.step(ended - before)
    return {**done}


def nasty(registry: Registry, crowd: Crowd, draw: random.Random, done: Counter[str]) -> None:
    """One kill, freeze or cancel, of whatever is there."""
    attempts, workers = crowd.attempts(), [worker.pid for worker in crowd.workers]
    what = draw.random()
    if what < 0.3 and attempts:
        done["kills"] += hit(draw.choice(attempts), signal.SIGKILL)
    elif what < 0.5:
        done["kills"] += hit(draw.choice(workers), signal.SIGKILL)
    elif what < 0.7 and len(crowd.frozen) < WORKERS - 1:
        # Mostly a worker with its work, as when a laptop sleeps: its lease ends, and a zombie wakes up.
        chosen = draw.choice(workers)
        for process in [chosen, *children(chosen)] if draw.random() < 0.7 else attempts[:1]:
            crowd.freeze(process)
        done["freezes"] += 1
    elif what < 0.8:
        live = registry.jobs.list("queued", "running", "needs_recovery")
        if live:
            with suppress(ConflictError):  # It has ended meanwhile.
                registry.jobs.cancel(draw.choice(live).id)
                done["cancels"] += 1


def hit(process: int, number: signal.Signals) -> bool:
    """Sends a signal; whether there was somebody to get it."""
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return False
    return True


def overdue(home: Path) -> int:
    """How many jobs say that they run though their lease ended more than a lease ago."""
    with closing(sqlite3.connect(home / FILE, timeout=30)) as connection:
        late = "SELECT count(*) FROM jobs WHERE state = 'running' AND lease_until < ?"
        found: int = connection.execute(late, (time.time() - LEASE,)).fetchone()[0]
    return found


def judge(registry: Registry, count: int) -> dict[str, int | float]:
    """Compares what the jobs say with what was published."""
    jobs = registry.jobs.list()
    states = Counter(job.state for job in jobs)
    experts = registry.experts("stress", all_versions=True) if states["done"] else []
    published = Counter(expert.settings_key for expert in experts)
    finished = {str(job.id) for job in jobs if job.state == "done"}
    return {
        "jobs": count,
        "done": states["done"],
        "failed": states["failed"],
        "cancelled": states["cancelled"],
        "attempts": sum(job.attempt for job in jobs),
        "unfinished": sum(not job.ended for job in jobs),
        "published_twice": sum(times > 1 for times in published.values()),
        "done_unpublished": len(finished - set(published)),
        "ended_published": len(set(published) - finished),
        "gaps": sum(expert.version != place for place, expert in enumerate(experts, 1)),
        "problems": len(registry.verify()),
    }
