"""`thread`: the work is done in a thread of this process, for notebooks and debuggers; it has no kill."""

import threading
from pathlib import Path

from registry import Registry
from registry.owners import Claim


class Thread:
    """An attempt in a thread."""

    def __init__(self, home: Path, claim: Claim) -> None:
        self._asked_to_stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(home, claim), name=f"job {claim.job}")
        self._thread.start()

    def _work(self, home: Path, claim: Claim) -> None:
        from trainer.attempt import perform

        with Registry(home) as registry:
            perform(registry, claim, self._asked_to_stop.is_set)

    def wait(self, seconds: float) -> bool:
        """Waits for the thread."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def awake(self) -> bool:
        """Always: a frozen thread means a frozen process, which then cannot renew its lease either."""
        return True

    def stop(self) -> None:
        """Asks it to end at the next step."""
        self._asked_to_stop.set()

    def kill(self) -> None:
        """As `stop`: a thread cannot be killed."""
        self.stop()

    def how_it_ended(self) -> str:
        """That it ended."""
        return "its thread ended"


def start(home: Path, claim: Claim) -> Thread:
    """Begins an attempt in a new thread."""
    return Thread(home, claim)
