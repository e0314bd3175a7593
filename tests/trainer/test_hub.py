"""Hub models: pinned to a commit, safetensors only, and clear words when the hub is out of reach."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from trainer.sources import fingerprint

ROOT = Path(__file__).parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
RESOLVE = """
import dataclasses, json, sys
from registry.errors import RegistryError
from trainer.sources import resolve
try:
    source = resolve(sys.argv[1], on_progress=lambda *step: print(*step, file=sys.stderr))
    print(json.dumps(dataclasses.asdict(source), default=str))
except RegistryError as error:
    print(json.dumps({"error": type(error).__name__, "message": str(error)}))
"""


class Hub(ThreadingHTTPServer):
    """The few answers of the Hugging Face hub that a download needs, for one repository `org/tiny`."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.files = {file.name: file.read_bytes() for file in folder.iterdir()}
        self.files |= {
            "pytorch_model.bin": b"a pickle",
            "modeling.py": b"code",
            "original/model.safetensors": b"",
        }
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        self.server.asked.append(path)
        files = self.server.files
        if path.startswith("/api/models/org/tiny/revision/"):
            revision = path.rsplit("/", 1)[-1]
            if revision in {"main", COMMIT}:
                self.send(
                    {"id": "org/tiny", "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
                )
            else:
                self.send({}, status=404, **{"X-Error-Code": "RevisionNotFound"})
        elif path == f"/api/models/org/tiny/tree/{COMMIT}":
            tree = [{"type": "file", "path": n, "size": len(b), "oid": digest(b)} for n, b in files.items()]
            self.send(tree)
        elif path.startswith(f"/org/tiny/resolve/{COMMIT}/"):
            content = files[path.removeprefix(f"/org/tiny/resolve/{COMMIT}/")]
            self.send(content, **{"ETag": f'"{digest(content)}"', "X-Repo-Commit": COMMIT})
        elif path.startswith("/api/models/org/gated/"):
            self.send({}, status=403, **{"X-Error-Code": "GatedRepo"})
        else:
            self.send({}, status=404, **{"X-Error-Code": "RepoNotFound"})

    def send(self, content: Any, status: int = 200, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


def digest(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@pytest.fixture
def hub(tiny_bert_folder: Path) -> Iterator[Hub]:
    with Hub(tiny_bert_folder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(spec: str, endpoint: str, home: Path, **variables: str) -> dict[str, Any]:
    """Resolve in a process of its own: the hub's client reads its settings once, when it is imported."""
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_ETAG_TIMEOUT": "2", **variables}
    done = subprocess.run(
        [sys.executable, "-c", RESOLVE, spec],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_model_is_pinned_downloaded_once_and_then_needs_no_hub(
    hub: Hub, tiny_bert_folder: Path, tmp_path: Path
) -> None:
    source = ask("org/tiny", hub.url, tmp_path)
    assert (source["spec"], source["revision"]) == (f"org/tiny@{COMMIT}", COMMIT)
    assert source["fingerprint"] == fingerprint(tiny_bert_folder)
    fetched = {path.rsplit("/", 1)[-1] for path in hub.asked if "/resolve/" in path}
    assert fetched == {file.name for file in tiny_bert_folder.iterdir()}, (
        "no pickle, no code, no other format"
    )

    hub.asked.clear()
    assert ask(f"org/tiny@{COMMIT}", hub.url, tmp_path) == source
    assert hub.asked == []
    assert ask("org/tiny", "http://127.0.0.1:9", tmp_path) == source


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("org/missing", "NotFoundError", "there is no base model 'org/missing': not a built-in, not a path"),
        ("org/tiny@v9", "NotFoundError", "org/tiny has no revision 'v9' on the hub"),
        ("org/gated", "RegistryError", "org/gated wants its licence accepted"),
    ],
)
def test_a_refusal_of_the_hub_is_one_line(
    spec: str, error: str, message: str, hub: Hub, tmp_path: Path
) -> None:
    answer = ask(spec, hub.url, tmp_path)
    assert answer["error"] == error
    assert answer["message"].startswith(message)
    assert "\n" not in answer["message"]


@pytest.mark.parametrize("variables", [{}, {"HF_HUB_OFFLINE": "1"}], ids=["unreachable", "offline"])
def test_without_the_hub_the_remedy_is_named(variables: dict[str, str], tmp_path: Path) -> None:
    answer = ask("org/tiny@v1", "http://127.0.0.1:9", tmp_path, **variables)
    assert answer["error"] == "RegistryError"
    assert answer["message"].startswith("cannot fetch base model org/tiny@v1 from the Hugging Face hub (")
    assert "give --base-model a local Hugging Face folder" in answer["message"]
    assert "\n" not in answer["message"]
