"""`local`: each attempt is a process of its own on this machine, so that nothing it does can harm its worker.

Two pipes tie them together. The worker holds one end of the attempt's standard input: when the worker dies,
by whatever means, the system closes it, and the attempt ends. On the other the attempt shows a sign of life
each second: one that is frozen shows none.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from registry.disk import private_folder, storage_errors
from registry.errors import StorageError
from registry.owners import Claim

SILENCE = 20.0
"""Seconds without a sign of life after which an attempt counts as frozen; loading a model may take some."""


class Process:
    """An attempt in a process group of its own."""

    def __init__(self, home: Path, claim: Claim) -> None:
        path = log(home, claim.job)
        with storage_errors("write", path):
            output = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._pulse, pulse = os.pipe()
        os.set_blocking(self._pulse, False)
        try:
            self._process = subprocess.Popen(
                # -P: whatever lies in the folder where somebody started the command is not imported.
                [sys.executable, "-P", "-m", "trainer.attempt", str(home), str(pulse), *_words(claim)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[pulse],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                start_new_session=True,
            )
        except OSError as error:
            os.close(self._pulse)
            raise StorageError(f"Cannot start a process for job {claim.job}: {error.strerror}.") from error
        finally:
            os.close(pulse)
            os.close(output)
        self._heard = time.monotonic()

    def wait(self, seconds: float) -> bool:
        """Waits for the process. What it has started ends with it."""
        if self._process.returncode is None:
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                return False
            self._kill_group()
            if self._process.stdin is not None:
                self._process.stdin.close()
            os.close(self._pulse)
        return True

    def awake(self) -> bool:
        """Whether it was heard of lately."""
        with suppress(BlockingIOError):
            if os.read(self._pulse, 4096):
                self._heard = time.monotonic()
        return time.monotonic() - self._heard < SILENCE

    def stop(self) -> None:
        """SIGTERM, which `trainer.attempt` takes as a request."""
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL to the process and all it has started."""
        if self._process.returncode is None:  # Else its number may be another's by now.
            self._kill_group()

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def how_it_ended(self) -> str:
        """By which signal or with which exit code."""
        code = self._process.returncode
        if code >= 0:
            return f"its process ended with exit code {code}"
        name = signal.Signals(-code).name
        memory = "; the machine may have run out of memory" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{memory}"


def start(home: Path, claim: Claim) -> Process:
    """Begins an attempt in a new process."""
    return Process(home, claim)


def log(home: Path, job: int) -> Path:
    """Where what the attempts of a job print is kept."""
    return private_folder(home / "logs") / f"job-{job}.log"


def _words(claim: Claim) -> list[str]:
    return [str(claim.job), str(claim.attempt), claim.owner]
