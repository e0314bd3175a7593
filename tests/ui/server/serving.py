"""`registry ui` as a process of its own, and how to talk to it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from registry import Registry

ROOT = Path(__file__).parents[3]
PASSWORD = "correct horse"


@dataclass(frozen=True)
class Server:
    """One that runs."""

    home: Path
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.port is not None
        return "127.0.0.1", parts.port

    def client(self, **settings: object) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.address[1]}", timeout=60, **settings)  # type: ignore[arg-type]

    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def stop(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(60)


@contextmanager
def serving(home: Path, *arguments: str) -> Iterator[Server]:
    """Serves until the block ends; then nothing must have been printed, no warning and no trace."""
    log = home.with_name(f"{home.name}-{time.monotonic_ns()}.log")
    with log.open("wb") as file, start(home, file.fileno(), *arguments) as process:
        try:
            server = Server(home, _url(process, log), process, log)
            yield server
            if process.poll() is None:
                assert server.stop() == 0, server.printed()
            assert server.printed() == ""
        finally:
            process.kill()


def start(home: Path, stderr: int, *arguments: str) -> subprocess.Popen[bytes]:
    command = ["--home", str(home), "--json", "ui", "--port", "0", *arguments]
    return subprocess.Popen(
        [sys.executable, "-m", "ui.cli", *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    said = b""
    assert process.stdout is not None
    while not said.endswith(b"}\n"):
        line = process.stdout.readline()
        assert line, log.read_text(encoding="utf-8")
        said += line
    url: str = json.loads(said)["url"]
    return url


def eventually(true: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Whether something becomes true in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def add_user(home: Path, name: str) -> None:
    with Registry(home) as registry:
        registry.users.add(name, PASSWORD)


def log_in(client: httpx.Client, name: str, password: str = PASSWORD, wanted: str = "/") -> httpx.Response:
    return client.post("/login", data={"name": name, "password": password, "next": wanted})
