"""The disk fails at every single call of adding an expert and of migrating a home.

`python -m tests.stress.parts.faults FOLDER SHARE SCALE` tries one share of the faults, the shim being loaded
by LD_PRELOAD; `run` starts one such process for each core.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from registry import Registry
from registry.canonical import sha256_of
from registry.database import FILE, migrate
from registry.errors import RegistryError
from registry.sqlite import driver
from tests.registry.samples import add_expert
from tests.stress import shim
from tests.stress.forks import start

TITLE = "the disk fails at the n-th call of publishing and of migrating, for all n"
TARGET = (
    "no space, disk errors, short writes, failing syncs, read-only disks and size limits: "
    "the old state intact, one line of error, exit code 1, and the same again works; "
    "done all the same only where the last sync of SQLite's journal failed"
)
MINUTES = 5.0
SMALL = 0.01

missing = shim.missing
SHARES = 2
RELEASE = Path(__file__).parents[2] / "registry" / "releases" / "0.1.0"
NOBODY = 65_534
END = "\0"
TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.+]+")
LAST_SYNC = re.compile(r"f(data)?sync /registry\.db-(journal|wal)")
"""Where SQLite itself cannot know whether a transaction will be there: it says that it failed."""
WRONG = ("harmed", "unclear", "stuck")
VERDICTS = ("told", "absorbed", "done_after_all", *WRONG)
"""Told: an error, nothing done. Absorbed: no error, all done. Done after all: an error, and all done."""
SIZES = (*range(0, 4_096, 256), *range(4_096, 1 << 20, 2_048))
"""Limits on the size of a file, up to one that is no obstacle."""


@dataclass(frozen=True, slots=True)
class Program:
    """What is done to a home while its disk fails, and to which home."""

    prepare: Callable[[Path], None]
    work: Callable[[Path], object]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, what it said on stderr, and which call failed first."""

    code: int
    error: str
    failed: str


def published(home: Path) -> None:
    """Opens the home and adds an expert, as a new program would."""
    with Registry(home) as registry:
        add_expert(registry, number=1)


def with_an_expert(home: Path) -> None:
    """A home in which an expert is already."""
    with Registry(home) as registry:
        add_expert(registry)


def of_the_first_release(home: Path) -> None:
    """A home that has to be migrated."""
    shutil.copytree(RELEASE, home)


PROGRAMS = {
    "publish": Program(with_an_expert, published),
    "migrate": Program(of_the_first_release, migrate),
}


def run(folder: Path, scale: float) -> dict[str, int | float]:
    """Counts the faults, what people were told, and what went wrong afterwards."""
    why = missing()
    if why is not None:
        raise SystemExit(f"The part faults cannot run: {why}. Install one, such as gcc.")
    environment = {**os.environ, "LD_PRELOAD": str(shim.build(folder)), "OPENBLAS_NUM_THREADS": "1"}
    shares = []
    for share in range(SHARES if scale > 0.05 else 1):
        arguments = [str(folder / str(share)), str(share), str(scale)]
        command = [sys.executable, "-m", "tests.stress.parts.faults", *arguments]
        shares.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
    counts: Counter[str] = Counter()
    for process in shares:
        out, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"A share of the faults ended with {process.returncode}.")
        counts.update(json.loads(out))
    return dict(counts)


def reached(figures: dict[str, int | float]) -> bool:
    """Each fault was told, or did no harm, and nothing of what was there before was touched."""
    return figures["faults"] > 0 and not any(figures[name] for name in WRONG)


def share_of(folder: Path, share: int, scale: float) -> Counter[str]:
    """Tries every n-th fault of every kind, beginning with number `share`."""
    every = max(1, round(SHARES / scale))
    counts: Counter[str] = Counter(dict.fromkeys(("faults", *VERDICTS), 0))
    for name, program in PROGRAMS.items():
        bench = Bench(folder / name, program)
        for kind, fault in shim.FAULTS.items():
            for number in range(1 + share, 1 << 20, every):
                if not bench.try_fault(counts, f"{name}, {kind} {number}", bench.armed(fault, number)):
                    break
        for size in SIZES[share::every]:
            bench.try_fault(counts, f"{name}, files of {size} bytes", limited_to(size))
        if share == 0:
            without_permission(counts, name, program)
    return counts


def limited_to(size: int) -> Callable[[], None]:
    """Lets no file grow past `size`; the write that tries fails with EFBIG."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    return limit


def without_permission(counts: Counter[str], name: str, program: Program) -> None:
    """Runs the program where somebody may read all and write nothing; root gives up what it may first."""

    def give_up() -> None:
        for path in (bench.home, *bench.home.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)

    # Others may not enter every folder that a work folder can be in.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        bench = Bench(Path(folder) / name, program)
        bench.try_fault(counts, f"{name}, read-only folder", give_up)


class Bench:
    """A home to break again and again, what it was before, and what it becomes when nothing fails."""

    def __init__(self, folder: Path, program: Program) -> None:
        self.program = program
        self.home, self.template = folder / "home", folder / "template"
        folder.mkdir(parents=True)
        program.prepare(self.template)
        self.before = dump(self.template)
        self.files = blobs(self.template)
        self.renew()
        program.work(self.home)
        self.after = dump(self.home)

    def renew(self) -> None:
        """Makes the home what it was before."""
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self.template, self.home)

    def armed(self, fault: shim.Fault, number: int) -> Callable[[], None]:
        """Lets the `number`-th call fail."""
        return lambda: shim.arm(self.home, fault, number)

    def perform(self, prepare: Callable[[], None]) -> Ended:
        """Runs the program in a process of its own, in which `prepare` is called first."""
        reading, writing = os.pipe()

        def child() -> None:
            os.dup2(writing, sys.stderr.fileno())
            prepare()
            code = 0
            try:
                self.program.work(self.home)
            except RegistryError as error:
                print(f"Error: {error}", file=sys.stderr)
                code = 1
            print(f"{END}{shim.failed()}", end="", file=sys.stderr, flush=True)
            os._exit(code)

        process = start(child)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            error, _, failed = pipe.read().partition(END)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        return Ended(code, error, failed)

    def try_fault(self, counts: Counter[str], name: str, prepare: Callable[[], None]) -> bool:
        """Runs the program with a fault and then without; False when it never met the fault."""
        self.renew()
        ended = self.perform(prepare)
        if ended == Ended(0, "", ""):
            return False
        counts["faults"] += 1
        for verdict, what in self.judged(ended):
            counts[verdict] += 1
            if verdict in WRONG:
                print(f"{verdict}: {name} ({ended.failed}): {what}", file=sys.stderr, flush=True)
        return True

    def judged(self, ended: Ended) -> Iterator[tuple[str, str]]:
        """What can be said of a program that met a fault: of what it left, and of doing it again."""
        for path in (self.home, *self.home.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
        left = dump(self.home)
        done = self.is_done(left)
        if not done and left != self.before:
            yield "harmed", "rows have changed"
        if not self.files <= blobs(self.home):
            yield "harmed", "blobs have changed"
        if ended == Ended(0, "", ended.failed):
            yield ("absorbed", "") if done else ("harmed", "it was said to be done, and is not")
        elif ended.code == 1 and re.fullmatch(r"Error: [^\n]+\n", ended.error):
            if done and not LAST_SYNC.fullmatch(ended.failed):
                yield "unclear", "all was done, and an error told"
            else:
                yield "done_after_all" if done else "told", ""
        else:
            yield "unclear", f"exit code {ended.code}: {ended.error.strip()[-400:]}"
        again = self.perform(lambda: None)
        if again != Ended(0, "", ""):
            yield "stuck", again.error
            return
        with Registry(self.home) as registry:
            problems = registry.verify()
        if problems:
            yield "harmed", str(problems)

    def is_done(self, left: list[str]) -> bool:
        """Whether all is there that there would be without a fault, at whatever time it was written."""
        kept = set(self.before) & set(self.after)
        missing, new = set(self.after) - set(left), set(left) - set(self.after)
        return kept <= set(left) and timeless(missing) == timeless(new)


def dump(home: Path) -> list[str]:
    """The whole database as SQL, or what SQLite says of it."""
    with closing(driver.connect(home / FILE)) as connection:
        try:
            return list(connection.iterdump())
        except driver.DatabaseError as error:
            return [str(error)]


def timeless(lines: set[str]) -> list[str]:
    """The lines without the times in them."""
    return sorted(TIME.sub("", line) for line in lines)


def blobs(home: Path) -> set[str]:
    """The names of all blobs that hold what their names say; a damaged one is listed as such."""
    paths = (home / "blobs" / "sha256").glob("??/[0-9a-f]*")
    return {path.name for path in paths if sha256_of(path.read_bytes()) == path.name}


if __name__ == "__main__":
    _, work, number, size = sys.argv
    print(json.dumps(share_of(Path(work), int(number), float(size))))
