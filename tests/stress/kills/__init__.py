"""`kill -9` at every named step.

A scene prepares something in a home, has a process die at a step of it, looks at what is left, does it again,
and counts what is wrong: nothing may be.

- `kills`: processes that died where they were told to, and `unreached`, those that did not get there.
- `torn`: states that are neither as before nor as after.
- `wrong`: states after doing it again that are not as they should be; `failed_again` when that raised.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from registry.errors import RegistryError
from tests.stress.forks import killed_at

Tally = Counter[str]


@dataclass(frozen=True)
class Scene:
    """Something that is done in a home, and the points at which it is killed."""

    points: tuple[str, ...]
    play: Callable[[Path, int, str], Tally]
    """`play(home, number, point)`: once, killed at that point; `number` is another one each time."""


def killed_and_repeated(
    point: str,
    work: Callable[[], object],
    *,
    left: Callable[[], bool],
    after: Callable[[], bool],
) -> Tally:
    """Kills `work` at `point`, does it again, and asks after the one and the other whether all is right."""
    killed = killed_at(point, work)
    tally = Counter(kills=killed, unreached=not killed, torn=not left(), failed_again=0)
    try:
        work()
    except RegistryError as error:
        print(f"after a kill at {point}: {error}")
        tally["failed_again"] += 1
    tally["wrong"] = not after()
    return tally
