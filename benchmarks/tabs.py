"""How long a page of the browser app lets one wait when the registry is large, and after the server's start.

    python -m benchmarks.tabs [--experts 1000] [--generations 200] [--work FOLDER] [--json]

A server is started on a home that is made once in `--work`. Each function of its interface that looks at
something is called over HTTP, and each tab is opened in Chromium (Debian's, as in the tests) until what it
is about is to be seen. `busy` is the time that the server computed meanwhile.
"""

import argparse
import json
import os
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from benchmarks import scale
from benchmarks.measure import Report, parser, tell
from registry.database import migrate
from tests.browser.visit import Visit, chromium
from tests.ui.server.serving import Server, serving

TARGET, FIRST = 1.0, 3.0
"""Seconds until a tab shows what it is about; until the first page can be used."""

CALLS: dict[str, list[Any]] = {
    "about": [],
    "list_pools": [],
    "list_jobs": [None, 50],
    "show_job": [1],
    "list_experts": ["", False],
    "show_expert": ["task_0000@1"],
    "list_generations": [],
    "show_generation": [None],
    "show_confusion": [None],
    "show_matrix": [None, "routed_accuracy", "", 0, 40, 30],
    "show_lineage": ["task_0000@1"],
    "list_events": [[], "", "", "", 1],
}

TABS: dict[str, Callable[[Visit, argparse.Namespace], Any]] = {
    "Experts": lambda visit, options: visit.cell("task_0000@1"),
    "Router": lambda visit, options: visit.cell(f"router@{options.generations}"),
    "Continual matrix": lambda visit, options: visit.pictures().first,
    "Add a task": lambda visit, options: visit.page.locator("[role=tabpanel]:visible button").first,
    "Jobs": lambda visit, options: visit.cell("add task"),
    "Lineage": lambda visit, options: visit.page.locator(".drawn svg"),
    "Audit": lambda visit, options: visit.cell("run"),
    "About": lambda visit, options: visit.box("Home"),
    "Playground": lambda visit, options: visit.button("Answer"),
}


def main() -> None:
    """Measure, and print a table or JSON."""
    options = _options()
    folder = scale.home(
        options.work,
        experts=options.experts,
        tasks=options.experts,
        generations=options.generations,
        slots=options.experts,
        jobs=100,
        on_progress=lambda stage, done, total, _: tell(f"{stage}: {done:,} of {total:,}"),
    )
    migrate(folder)
    begun = time.perf_counter()
    with serving(folder, "--no-worker") as server:
        up = time.perf_counter() - begun
        started = busy(server)
        table = _pages(server, options)
        table = [{"what": "command to URL", "p50 s": round(up, 2), "busy s": round(started, 2)}, *table]
        table += _functions(server, options.calls)
    report = Report(f"tabs: {options.experts:,} experts, {options.generations:,} generations", table=table)
    tabs = [row for row in table if str(row["what"]).startswith("tab ")]
    report.ratios = {
        "first_page_s": next(row["p50 s"] for row in table if row["what"] == "first page"),
        "slowest_tab_s": max(row["p50 s"] for row in tabs),
        "slowest_tab_busy_s": max(row["busy s"] for row in tabs),
        "slowest_function_s": max(row["p50 s"] for row in table if str(row["what"]).startswith("/")),
    }
    report.show(as_json=options.json)


def _options() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--experts", type=int, default=1_000)
    made.add_argument("--generations", type=int, default=200)
    made.add_argument("--calls", type=int, default=5, help="of every function, and openings of every tab")
    return made.parse_args()


def busy(server: Server) -> float:
    """Seconds that a server has computed."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pages(server: Server, options: argparse.Namespace) -> list[dict[str, Any]]:
    spent: dict[str, list[tuple[float, float]]] = {}
    with chromium() as browser:

        def opened(what: str, work: Callable[[], object]) -> None:
            begun, computed = time.perf_counter(), busy(server)
            work()
            times = (time.perf_counter() - begun, busy(server) - computed)
            spent.setdefault(what, []).append(times)
            tell(f"{what}: {times[0]:.2f} s, {times[1]:.2f} s busy")

        for turn in range(options.calls):
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            visits: list[Visit] = []
            opened(
                "first page" if turn == 0 else "page, without a browser's cache",
                lambda page=page, visits=visits: visits.append(Visit(page, server.url)),
            )
            visit = visits[0]
            for title, seen in TABS.items():

                def show(title: str = title, seen: Any = seen, visit: Visit = visit) -> None:
                    visit.open(title)
                    seen(visit, options).wait_for(state="visible", timeout=30_000)

                opened(f"tab {title}", show)
            visit.check()
            page.close()
    return [_row(what, times) for what, times in spent.items()]


def _functions(server: Server, calls: int) -> list[dict[str, Any]]:
    rows = []
    with server.client() as client:
        for name, given in CALLS.items():
            times, size = [], 0
            for _ in range(calls):
                begun, computed = time.perf_counter(), busy(server)
                size = len(call(client, name, given))
                times.append((time.perf_counter() - begun, busy(server) - computed))
            rows.append({**_row(f"/{name}", times), "kB": round(size / 1000, 1)})
            tell(f"/{name}")
    return rows


def call(client: httpx.Client, name: str, given: list[Any]) -> str:
    """What a function answers, as text; AssertionError if it is an error."""
    asked = client.post(f"/gradio_api/call/{name}", json={"data": given})
    asked.raise_for_status()
    answer = client.get(f"/gradio_api/call/{name}/{asked.json()['event_id']}").text
    event, data = re.findall(r"^event: (\w+)\ndata: (.*)$", answer, re.MULTILINE)[-1]
    assert event == "complete", f"{name} {json.dumps(given)}: {data}"
    return str(data)


def _row(what: str, times: list[tuple[float, float]]) -> dict[str, Any]:
    return {
        "what": what,
        "p50 s": round(statistics.median(wall for wall, _ in times), 3),
        "longest s": round(max(wall for wall, _ in times), 3),
        "busy s": round(statistics.median(computed for _, computed in times), 3),
    }


if __name__ == "__main__":
    main()
