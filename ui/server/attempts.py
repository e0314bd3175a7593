"""How often somebody may fail to log in."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

ALLOWED, FROM_ONE_ADDRESS = 5, 30
WINDOW = 15 * 60.0
"""Failures of one name from one address, and of all names from one address, within so many seconds."""
KEPT = 10_000


class Attempts:
    """Failures to log in, lately; kept in memory, and no more of them than fit."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[tuple[str, str | None], deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, address: str, name: str) -> float:
        """Seconds to wait before the next try; 0 when one is allowed, which then counts as a failure until
        `succeeded`: whoever tries many times at once is no further than one after the other."""
        with self._lock:
            now = self._clock()
            keys = (((address, name), ALLOWED), ((address, None), FROM_ONE_ADDRESS))
            waits = [
                self._times(key, now)[0] + WINDOW - now
                for key, most in keys
                if len(self._times(key, now)) >= most
            ]
            if waits:
                return max(waits)
            for key, _ in keys:
                self._times(key, now).append(now)
            return 0.0

    def succeeded(self, address: str, name: str) -> None:
        """The last try was none that failed."""
        with self._lock:
            self._failed.pop((address, name), None)
            others = self._failed.get((address, None))
            if others:
                others.pop()

    def _times(self, key: tuple[str, str | None], now: float) -> deque[float]:
        times = self._failed.setdefault(key, deque())
        self._failed.move_to_end(key)
        while times and times[0] <= now - WINDOW:
            times.popleft()
        while len(self._failed) > KEPT:
            self._failed.popitem(last=False)
        return times
