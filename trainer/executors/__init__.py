"""Executor kinds, one module each: where the work of a job is done. What became of it, the database
alone says.

The contract, held by `tests/trainer/executors/test_contract.py`:

- `start(home, claim) -> Running`: begins the work of a claimed job in the registry at `home`, that is, sees
  to it that `trainer.attempt.perform` is called, and returns at once.
"""

from typing import Protocol


class Running(Protocol):
    """One attempt at work, as its worker sees it."""

    def wait(self, seconds: float) -> bool:
        """Waits until the attempt has ended, at most so long; whether it has."""

    def awake(self) -> bool:
        """Whether it has shown signs of life lately; one that is frozen must not keep its lease."""

    def stop(self) -> None:
        """Asks it to end at the next step, in good order."""

    def kill(self) -> None:
        """Ends it at once, with everything it has started."""

    def how_it_ended(self) -> str:
        """For people, after it has ended without saying so itself."""
