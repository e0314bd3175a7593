"""How a server begins and ends, what it tells of itself, and its worker."""

import os
import re
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from registry import Registry
from tests.registry.samples import add_expert, add_generation
from tests.ui.server.serving import ROOT, Server, eventually, serving, start
from ui.server.uploads import folder, sweep


def workers(server: Server) -> list[int]:
    """The processes of the server's own worker."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if b"ui.server.worker" in words and os.fsencode(server.home) in words:
                found.append(int(path.parent.name))
    return found


def test_health_is_told_to_everybody(client: httpx.Client) -> None:
    found = client.get("/healthz")
    assert (found.status_code, found.json()) == (200, {"status": "ok"})


def test_the_figures_are_in_prometheus_format(server: Server, client: httpx.Client) -> None:
    with Registry(server.home) as registry:
        add_expert(registry, "sst2", rows=1, number=1)
        add_generation(registry, "sst2@1", number=1)
        registry.jobs.enqueue("add-task", {}, task="sst2")
    client.get("/nothing")
    found = client.get("/metrics")
    assert found.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    sample = r"[a-z_]+(?:\{[a-z]+=\"[^\"]*\"(?:,[a-z]+=\"[^\"]*\")*\})? [0-9.e+-]+"
    lines = found.text.splitlines()
    assert [line for line in lines if not re.fullmatch(rf"# (?:HELP|TYPE) .+|{sample}", line)] == []
    for line in (
        'registry_jobs{state="queued"} 1',
        'registry_jobs{state="running"} 0',
        "registry_tasks 1",
        "registry_experts 1",
        "registry_generations 1",
        'registry_http_requests_total{method="GET",status="404"} 1',
        "registry_http_requests_open 1",
    ):
        assert line in lines
    counts = [
        int(line.split()[1]) for line in lines if line.startswith("registry_http_request_seconds_bucket")
    ]
    assert counts == sorted(counts)
    names = {line.partition(" ")[0].partition("{")[0] for line in lines if not line.startswith("#")}
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in names} == typed


def test_the_picture_of_a_lineage_is_a_page_without_scripts(server: Server, client: httpx.Client) -> None:
    with Registry(server.home) as registry:
        name = add_expert(registry, "trec", rows=2, number=2).name
    found = client.get(f"/lineage/{name}.svg")
    assert (found.status_code, found.headers["content-type"]) == (200, "image/svg+xml")
    assert found.headers["content-security-policy"].startswith("default-src 'none'; ")
    assert "trec@1" in found.text
    for missing in ("nothing", "<script>", "trec@9"):
        assert client.get(f"/lineage/{missing}.svg").status_code == 404


def test_every_function_is_documented(client: httpx.Client) -> None:
    found = client.get("/gradio_api/info").json()
    document = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", document, re.MULTILINE)
    documented = re.findall(r"\w+", " ".join(rows))
    assert sorted(f"/{name}" for name in documented) == sorted(found["named_endpoints"])
    assert found["unnamed_endpoints"] == {}


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start(tmp_path / "home", subprocess.PIPE, "--port", str(port)) as process:
            said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 2
    assert said == (
        f"Error: Cannot listen on 127.0.0.1 port {port}: Address already in use. "
        "Choose another with --host or --port.\n"
    )


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_asked_to_stop_does_so_though_pages_are_open(tmp_path: Path, how: int) -> None:
    with serving(tmp_path / "home") as server, server.client() as client:
        assert eventually(lambda: len(workers(server)) == 1)
        with client.stream("GET", "/gradio_api/heartbeat/abc") as stream:
            assert next(stream.iter_lines()) == "data: ALIVE"
            begun = time.monotonic()
            assert server.stop(how) == 0
            assert time.monotonic() - begun < 15
        assert workers(server) == []


def test_the_worker_works_and_is_started_anew_when_it_dies(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home) as server, Registry(home) as registry:
        job = registry.jobs.enqueue("no such kind", {})
        assert eventually(lambda: registry.jobs.get(job.id).state == "failed")
        [first] = workers(server)
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: workers(server) not in ([], [first]))
        other = registry.jobs.enqueue("no other kind", {})
        assert eventually(lambda: registry.jobs.get(other.id).state == "failed")
        assert server.printed() == "The worker ended with exit code -9; the next starts in 2 s.\n"
        server.log.write_text("")


def test_the_worker_ends_with_a_server_that_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        assert eventually(lambda: len(workers(server)) == 1)
        server.process.kill()
        assert eventually(lambda: workers(server) == [])


def test_uploads_that_nobody_fetches_any_more_are_removed(tmp_path: Path) -> None:
    uploads = folder(tmp_path / "cache")
    assert uploads.stat().st_mode & 0o777 == 0o700
    old, new = uploads / "old", uploads / "new"
    for path in (old, new):
        path.mkdir()
        (path / "a.csv").write_text("text,label")
    (uploads / "broken off").write_text("half a fi")
    for path in (old, uploads / "broken off"):
        os.utime(path, (0, 0))
    assert sweep(uploads) == 2
    assert list(uploads.iterdir()) == [new]
