"""People and shells at work on one server until the time is over, and what came of it."""

import asyncio
import json
import os
import random
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.ui.commands import mood_rows, write_csv
from tests.ui.server.serving import Server

THINK = (1.0, 3.0)
"""Seconds between two looks."""
SAMPLED = 2.0

READS: tuple[tuple[str, list[Any]], ...] = (
    ("about", []),
    ("list_pools", []),
    ("predict", ["The film was lovely.", None, None, None]),
    ("list_experts", ["", False]),
    ("show_expert", ["mood"]),
    ("show_data", ["mood", None]),
    ("list_generations", []),
    ("show_generation", [None]),
    ("show_confusion", [None]),
    ("list_mistakes", ["router", "mood", None]),
    ("show_calibration", [None]),
    ("show_matrix", [None, "routed_accuracy", "", 0, 40, 30]),
    ("list_jobs", [None, 50]),
    ("show_lineage", ["router"]),
    ("list_events", [[], "", "", "", 1]),
)


@dataclass
class Outcome:
    """What a run came to.

    Attributes:
        reads: seconds of each look, by function; writes: of each upload, order and command.
        errors: whatever was not answered as it should be, and every line of the server's log.
        samples: (seconds since the start, bytes of memory, open files) of the server.
    """

    reads: dict[str, list[float]] = field(default_factory=dict)
    writes: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    samples: list[tuple[float, int, int]] = field(default_factory=list)
    trained: int = 0

    def growth(self, column: int) -> float:
        """By how much a sampled figure grew: the median of the last quarter less that of the second."""
        quarter = max(1, len(self.samples) // 4)
        values = [float(sample[column]) for sample in self.samples]
        return statistics.median(values[-quarter:]) - statistics.median(values[quarter : 2 * quarter])


class Team:
    """Everybody at work until the time is over."""

    def __init__(self, server: Server, seconds: float, files: Path) -> None:
        self.server, self.files = server, files
        self.outcome = Outcome()
        self._seconds = seconds
        self._base = f"http://127.0.0.1:{server.address[1]}"
        self._begin()

    async def warm_up(self) -> dict[str, float]:
        """Seconds of the first call of each function."""
        found = {}
        async with httpx.AsyncClient(base_url=self._base, timeout=120) as client:
            for name, given in READS:
                begun = time.monotonic()
                await call(client, name, given)
                found[name] = time.monotonic() - begun
        self._begin()
        return found

    def _begin(self) -> None:
        self._begun = time.monotonic()
        self._until = self._begun + self._seconds

    async def work(self, clients: int, uploaders: int, shells: int) -> Outcome:
        """All of them, side by side."""
        await asyncio.gather(
            self._sample(),
            *(self._each(self._look, number) for number in range(clients)),
            *(self._each(self._upload, 1_000 + number) for number in range(uploaders)),
            self._each(self._train, 2_000),
            *(self._write_in_shell(number) for number in range(shells)),
        )
        self.outcome.errors += self.server.printed().splitlines()
        return self.outcome

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self._until

    async def _each(
        self, step: Callable[[httpx.AsyncClient, random.Random], Awaitable[None]], number: int
    ) -> None:
        """One person: opens the page, then takes steps and thinks in between."""
        draw = random.Random(number)
        async with self._page(number) as client:
            await asyncio.sleep(draw.uniform(0, THINK[1]))
            while not self.over:
                try:
                    await step(client, draw)
                except (httpx.HTTPError, AssertionError) as error:
                    self.outcome.errors.append(f"{type(error).__name__}: {error}")
                await asyncio.sleep(draw.uniform(*THINK))

    @asynccontextmanager
    async def _page(self, number: int) -> AsyncIterator[httpx.AsyncClient]:
        """A client with what an open page has loaded and holds."""
        async with httpx.AsyncClient(base_url=self._base, timeout=60) as client:
            for path in ("/", "/config", "/theme.css"):
                (await client.get(path)).raise_for_status()
            held = asyncio.create_task(_hold(client, f"/gradio_api/heartbeat/client{number}"))
            try:
                yield client
            finally:
                held.cancel()
                await asyncio.gather(held, return_exceptions=True)

    async def _look(self, client: httpx.AsyncClient, draw: random.Random) -> None:
        name, given = draw.choice(READS)
        begun = time.monotonic()
        await call(client, name, given)
        self.outcome.reads.setdefault(name, []).append(time.monotonic() - begun)

    async def _upload(self, client: httpx.AsyncClient, draw: random.Random) -> None:
        begun = time.monotonic()
        await call(client, "preview_task", [await self._file(client, draw), {}])
        self.outcome.writes.setdefault("upload and preview", []).append(time.monotonic() - begun)

    async def _train(self, client: httpx.AsyncClient, draw: random.Random) -> None:
        options = {"name": "load", "settings": {"epochs": 2, "seed": draw.randrange(1 << 30)}}
        begun = time.monotonic()
        asked = (await call(client, "add_task", [await self._file(client, draw), options]))["job"]
        self.outcome.writes.setdefault("ask for a training", []).append(time.monotonic() - begun)
        while not self.over:
            job = await call(client, "show_job", [asked])
            if job["ended"]:
                assert job["state"] == "done", f"job {asked}: {job['error']}"
                self.outcome.trained += 1
                return
            await asyncio.sleep(2.0)  # As often as the page looks.

    async def _file(self, client: httpx.AsyncClient, draw: random.Random) -> dict[str, Any]:
        """A file of rows, uploaded; as a function takes it."""
        path = write_csv(self.files / f"{draw.randrange(1 << 30)}.csv", draw.sample(mood_rows(), 60))
        files = {"files": ("rows.csv", path.read_bytes(), "text/csv")}
        path.unlink()
        found = await client.post("/gradio_api/upload", files=files)
        assert found.status_code == 200, f"upload: {found.status_code} {found.text}"
        return {"path": found.json()[0], "meta": {"_type": "gradio.FileData"}}

    async def _write_in_shell(self, number: int) -> None:
        draw, turn = random.Random(number), 0
        while not self.over:
            turn += 1
            words = ("alias", f"mood@shell-{number}", "mood@1")
            words = words if turn % 2 else ("alias", words[1], "--remove")
            begun = time.monotonic()
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "ui.cli", "--home", str(self.server.home), *words),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            said = (await process.communicate())[1].decode()
            self.outcome.writes.setdefault("registry alias", []).append(time.monotonic() - begun)
            if process.returncode:
                self.outcome.errors.append(f"registry {' '.join(words)}: {said.strip()}")
            await asyncio.sleep(draw.uniform(*THINK))

    async def _sample(self) -> None:
        own = Path(f"/proc/{self.server.process.pid}")
        while not self.over:
            memory = int((own / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            files = sum(1 for _ in (own / "fd").iterdir())
            self.outcome.samples.append((time.monotonic() - self._begun, memory, files))
            await asyncio.sleep(SAMPLED)


async def _hold(client: httpx.AsyncClient, path: str) -> None:
    async with client.stream("GET", path) as stream:
        async for _ in stream.aiter_lines():
            pass


async def call(client: httpx.AsyncClient, name: str, given: list[Any]) -> Any:
    """What a function answers; AssertionError if it refuses."""
    asked = await client.post(f"/gradio_api/call/{name}", json={"data": given})
    assert asked.status_code == 200, f"{name}: {asked.status_code} {asked.text}"
    answer = (await client.get(f"/gradio_api/call/{name}/{asked.json()['event_id']}")).text
    found = re.findall(r"^event: (\w+)\ndata: (.*)$", answer, re.MULTILINE)
    assert found, f"{name}: no answer"
    event, data = found[-1]
    assert event == "complete", f"{name}: {event} {data}"
    return json.loads(data)[0]
