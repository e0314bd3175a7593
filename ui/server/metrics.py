"""`/metrics`: how the server and its registry are, in Prometheus' text format."""

import os
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from registry import Registry, measured
from registry.queue import STATES

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Answered(Protocol):
    """What became of a request."""

    status: int
    seconds: float


class Metrics:
    """Counts of this process."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._slower_than = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0
        self._open = 0
        self._begun = time.time()

    @contextmanager
    def answering(self, method: str, request: Answered) -> Iterator[None]:
        """Counts a request, once it is answered."""
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            # Whatever a client calls its method, there is a bounded number of series.
            known = method if method in ("GET", "HEAD", "POST", "OPTIONS") else "other"
            self._requests[known, request.status] += 1
            self._slower_than[bisect_left(BOUNDS, request.seconds)] += 1
            self._seconds += request.seconds

    def text(self, registry: Registry) -> str:
        """All figures as they are now."""
        return "".join(
            f"{line}\n" for part in (self._served(), _kept(registry), self._process()) for line in part
        )

    def _served(self) -> Iterator[str]:
        yield from _head("registry_http_requests_total", "counter", "Requests by method and status.")
        for (method, status), count in sorted(self._requests.items()):
            yield f'registry_http_requests_total{{method="{method}",status="{status}"}} {count}'
        name = "registry_http_request_seconds"
        yield from _head(name, "histogram", "Seconds until the answer began.")
        total = 0
        for bound, count in zip((*BOUNDS, "+Inf"), self._slower_than, strict=True):
            total += count
            yield f'{name}_bucket{{le="{bound}"}} {total}'
        yield f"{name}_sum {self._seconds:.6f}"
        yield f"{name}_count {total}"
        yield from _gauge("registry_http_requests_open", "Requests that are being answered.", self._open)

    def _process(self) -> Iterator[str]:
        yield from _gauge("process_start_time_seconds", "When the server began.", round(self._begun, 3))
        yield from _gauge("process_threads", "Threads of the server.", threading.active_count())
        own = Path("/proc/self")
        if own.is_dir():
            pages = int((own / "statm").read_text().split()[1])
            resident = pages * os.sysconf("SC_PAGE_SIZE")
            yield from _gauge("process_resident_memory_bytes", "Memory of the server.", resident)
            files = sum(1 for _ in (own / "fd").iterdir())
            yield from _gauge("process_open_fds", "Open files and connections of the server.", files)


def _kept(registry: Registry) -> Iterable[str]:
    """What the registry holds."""
    jobs, counts = registry.jobs.counts(), measured.counts(registry)
    yield from _head("registry_jobs", "gauge", "Jobs by state.")
    for state in STATES:
        yield f'registry_jobs{{state="{state}"}} {jobs[state]}'
    yield from _gauge("registry_tasks", "Tasks.", counts["tasks"])
    yield from _gauge("registry_experts", "Experts, all versions.", counts["experts"])
    yield from _gauge("registry_generations", "Generations of the router.", counts["generations"])


def _head(name: str, kind: str, about: str) -> tuple[str, str]:
    return f"# HELP {name} {about}", f"# TYPE {name} {kind}"


def _gauge(name: str, about: str, value: float) -> Iterator[str]:
    yield from _head(name, "gauge", about)
    yield f"{name} {value}"
