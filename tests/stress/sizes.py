"""How large a part is at a scale, and how far it has come."""

import sys
import time


def sized(full: int, scale: float, least: int = 1) -> int:
    """`full` at scale 1, in proportion at others, and `least` at least."""
    return max(least, round(full * scale))


def clock(seconds: float) -> str:
    """Seconds as people read them: `0:05`, `12:34`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


class Progress:
    """Says every few seconds how much is done and how long the rest will take."""

    def __init__(self, total: int, unit: str, *, every: float = 5.0) -> None:
        self.total, self.unit, self.every = total, unit, every
        self.done = 0
        self._started = self._said = time.monotonic()

    def step(self, count: int = 1) -> None:
        """Counts `count` more of them."""
        self.done += count
        now = time.monotonic()
        if not self.done or now - self._said < self.every:
            return
        self._said = now
        left = (now - self._started) / self.done * (self.total - self.done)
        print(
            f"  {self.done:,} of {self.total:,} {self.unit}, {clock(left)} left", file=sys.stderr, flush=True
        )
