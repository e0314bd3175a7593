"""The server's own worker: a process that works on the jobs in the queue, and ends with the server.

`python -m ui.server.worker HOME` runs it. Its standard input is a pipe from the server: when the server goes,
by whatever means, the system closes it, and the worker leaves its job for the next one.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from ui import present, waiting

SOONEST, LATEST = 1.0, 60.0
"""Seconds before a worker that ended is started anew: doubled each time, until it ran for a while."""
LEAVING = 40.0
"""Seconds that a worker gets to leave its job in good order."""
POLITE = 5
"""By how much its work comes after the server's: who waits for a page waits in front of it, training takes
minutes anyway."""


class Companion:
    """Keeps one worker process running, from `start` to `stop`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="worker", daemon=True)

    def start(self) -> None:
        """Starts it, and anew when it ends."""
        self._thread.start()

    def stop(self) -> None:
        """Asks it to leave its job in good order, and waits until it has."""
        self._stopping.set()
        self._thread.join()

    def _keep(self) -> None:
        pause = SOONEST
        while not self._stopping.is_set():
            begun = time.monotonic()
            code = self._run()
            if self._stopping.is_set():
                return
            pause = SOONEST if time.monotonic() - begun > LATEST else min(2 * pause, LATEST)
            print(
                f"The worker ended with exit code {code}; the next starts in {pause:.0f} s.", file=sys.stderr
            )
            self._stopping.wait(pause)

    def _run(self) -> int:
        process = subprocess.Popen(
            # -P: whatever lies in the folder where somebody started the command is not imported.
            [sys.executable, "-P", "-m", "ui.server.worker", str(self._home)],
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,  # Ctrl-C is for the server, which then asks the worker.
        )
        assert process.stdin is not None
        while process.poll() is None and not self._stopping.wait(0.2):
            pass
        process.stdin.close()
        try:
            return process.wait(LEAVING)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def work(home: Path) -> None:
    """Works until standard input is closed, or a signal says so."""
    from registry import Registry
    from trainer.worker import Worker

    if hasattr(os, "nice"):
        os.nice(POLITE)
    with (
        Registry(home) as registry,
        Worker(registry, executor=waiting.executor(), on_trouble=_say) as worker,
        waiting.handling(signal.SIGTERM, worker.leave),
        waiting.handling(signal.SIGINT, worker.leave),
    ):

        def watch() -> None:
            with suppress(OSError):
                while os.read(sys.stdin.fileno(), 4096):
                    pass
            worker.leave()

        threading.Thread(target=watch, name="server", daemon=True).start()
        worker.run()


def _say(sentence: str) -> None:
    print(present.plain(sentence), file=sys.stderr, flush=True)


if __name__ == "__main__":
    work(Path(sys.argv[1]))
