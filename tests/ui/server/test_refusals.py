"""What nobody should send: refused at once, in one line, and nothing of it stays in the server."""

import bz2
import gzip
import io
import json
import lzma
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from registry import Registry
from tests.ui.commands import Trained
from tests.ui.server.serving import ROOT, Server, eventually, serving

UPLOAD, JOIN = "/gradio_api/upload", "/gradio_api/queue/join"
CSV = b"text,label\n" + b"a,x\nb,y\n" * 20
SPENT = 50_000_000
"""Bytes of memory that refusing may take, where what is refused would take more."""
KEPT = 300_000_000
"""Bytes for all sessions that are remembered, and for what functions load when they are first called."""
NOT_UPLOADED = "This names a file that nobody uploaded: POST it to /gradio_api/upload.\n"


@pytest.fixture(scope="module")
def attacked(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """At the end nothing was printed, and no files have been left open."""
    home = tmp_path_factory.mktemp("attacked") / "home"
    shutil.copytree(trained.home, home)
    with serving(home, "--no-worker") as running:
        with running.client() as client:
            client.post(UPLOAD, files={"files": ("a.csv", CSV)})
            assert (
                called(client, "predict", "a text", None, None, None)[0] == "complete"
            )  # which loads the base model
        before = open_files(running)
        yield running
        assert eventually(lambda: open_files(running) <= before + 3), open_files(running)


@pytest.fixture
def client(attacked: Server) -> Iterator[httpx.Client]:
    with attacked.client() as opened:
        yield opened


def open_files(server: Server) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def resident(server: Server) -> int:
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def called(client: httpx.Client, name: str, *given: Any) -> tuple[str, Any]:
    """How a function answered: `complete` or `error`, and what."""
    begun = client.post(f"/gradio_api/call/{name}", json={"data": list(given)})
    assert begun.status_code == 200, begun.text
    told = client.get(f"/gradio_api/call/{name}/{begun.json()['event_id']}").text
    event, data = (line.partition(": ")[2] for line in told.strip().splitlines()[-2:])
    return event, json.loads(data)


def refused(client: httpx.Client, name: str, *given: Any) -> str:
    """The one line with which a function refuses."""
    event, data = called(client, name, *given)
    assert event == "error", data
    said = data["error"]
    assert isinstance(said, str), f"{name} {given!r}"[:200]
    assert 0 < len(said) <= 1000
    assert "\n" not in said
    assert "Traceback" not in said
    return said


def uploaded(client: httpx.Client, name: str, content: bytes) -> dict[str, Any]:
    [path] = client.post(UPLOAD, files={"files": (name, content)}).json()
    return named(path)


def named(path: object, **more: object) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


FIELD = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
FILE = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.csv"\r\n\r\n'


@pytest.mark.parametrize(
    ("path", "part"),
    [(UPLOAD, FIELD), (UPLOAD, FILE), (JOIN, FIELD), ("/login", FIELD), ("/nothing", FILE)],
    ids=["field", "file", "call", "log-in", "nothing"],
)
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "counted"])
def test_300_megabytes_are_refused_before_they_have_come(
    attacked: Server, path: str, part: bytes, declared: bool
) -> None:
    """The answer is there while the client still sends, and then the connection is closed."""
    before = resident(attacked)
    with socket.create_connection(attacked.address, timeout=30) as connection:
        length = "Content-Length: 300000000" if declared else "Transfer-Encoding: chunked"
        kind = "multipart/form-data; boundary=x"
        begin = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n{length}\r\n\r\n"
        connection.sendall(begin.encode())
        sent = send_until_closed(connection, part, chunked=not declared)
        answer = received(connection)
    head, _, said = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 404 ") if path == "/nothing" else b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close" in head.lower()
    assert len(said.splitlines()) == 1
    assert sent < 300_000_000
    assert resident(attacked) - before < SPENT


def send_until_closed(connection: socket.socket, part: bytes, *, chunked: bool) -> int:
    """Sends 40 MB a second at most; how much went out before the server hung up."""
    sent = 0
    piece = part + bytes(1_000_000)
    connection.settimeout(30)
    try:
        while sent < 300_000_000:
            connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" if chunked else piece)
            sent += len(piece)
            piece = bytes(1_000_000)
            time.sleep(0.025)
    except OSError:
        pass
    return sent


def received(connection: socket.socket) -> bytes:
    found = b""
    try:
        while piece := connection.recv(65536):
            found += piece
    except OSError:
        pass
    return found


def test_a_thousand_refused_files_leave_nothing_behind(attacked: Server, client: httpx.Client) -> None:
    folder = attacked.home / "cache" / "browser"
    before, memory = sorted(folder.iterdir()), resident(attacked)
    for _ in range(3):
        found = client.post(UPLOAD, files=[("files", (f"{number}.csv", CSV)) for number in range(1001)])
        assert found.status_code == 400
    assert sorted(folder.iterdir()) == before
    assert resident(attacked) - memory < SPENT


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "{uploads}/../../registry.db",
        "{uploads}/..%2f..%2fregistry.db",
        "{uploads}/%2e%2e/%2e%2e/registry.db",
        "{uploads}/%252e%252e/registry.db",
        "{uploads}/../..//registry.db",
        "{home}/registry.db",
        "{home}/registry.db%00.csv",
        "%00",
        "{uploads}",
        "{uploads}/",
        "{uploads}/" + "a" * 5000,
        "\\\\host\\share",
        "https://example.org/",
        "~/.ssh/id_rsa",
        "/dev/stdin",
        "/proc/self/fd/0",
    ],
)
def test_no_path_leads_out_of_the_uploads(attacked: Server, client: httpx.Client, path: str) -> None:
    url = "/gradio_api/file=" + path.format(home=attacked.home, uploads=attacked.home / "cache" / "browser")
    found = client.get(httpx.URL(f"http://127.0.0.1:{attacked.address[1]}").copy_with(raw_path=url.encode()))
    assert found.status_code in (400, 403, 404), found.text
    assert found.text.count("\n") <= 1
    assert b"SQLite" not in found.content
    assert b"root:" not in found.content


FORGED = (
    "/etc/passwd",
    "{home}/registry.db",
    "{uploads}/../../registry.db",
    "/proc/self/environ",
    "http://127.0.0.1:{port}/metrics",
    "https://example.org/a.csv",
    "file:///etc/passwd",
    "",
    "\x00",
    "a" * 5000,
    None,
    7,
    ["/etc/passwd"],
)


@pytest.mark.parametrize("path", FORGED, ids=lambda path: str(path)[:30].replace("\x00", "zero"))
def test_a_file_that_nobody_uploaded_is_refused_wherever_it_is_named(
    attacked: Server, client: httpx.Client, path: object
) -> None:
    """In each function of the interface, and in each that only the page calls."""
    if isinstance(path, str):
        uploads = attacked.home / "cache" / "browser"
        path = path.format(home=attacked.home, uploads=uploads, port=attacked.address[1])
    files = sorted((attacked.home / "cache" / "browser").iterdir())
    for forged in (named(path), named(path, url="/a", orig_name="a.csv", is_stream=True)):
        for name in ("predict_table", "preview_task", "add_task", "list_experts"):
            for data in ([forged, {}], [None, forged], [None, {"settings": [forged]}], forged):
                found = client.post(f"/gradio_api/call/{name}", json={"data": data})
                assert (found.status_code, found.text) == (403, NOT_UPLOADED)
        body = {"fn_index": 0, "data": [forged], "session_hash": "a", "event_data": forged}
        assert client.post(JOIN, json=body).status_code == 403
        assert client.post(JOIN + "/", json=body).status_code == 403
    assert sorted((attacked.home / "cache" / "browser").iterdir()) == files


WITHOUT_GUARD = """
import sys
from pathlib import Path
from gradio.context import LocalContext
from gradio.exceptions import InvalidPathError
from gradio.processing_utils import _check_allowed
from ui.server.app import create_app
from ui.server.settings import Settings

app = create_app(Settings(home=Path(sys.argv[1]), worker=False))
while not hasattr(app, "routes"):
    app = app._app
served = app.routes[-1].app
blocks, sessions = served.get_blocks(), served.state_holder
first = sessions["a page"]
print("described:", len(first.config_values), end=", ")
[box] = [one for one in blocks.blocks.values() if getattr(one, "label", None) == "Expert or generation"]
first._update_value_in_config(box._id, "mood@1")
print([one["props"]["value"] for one in first.config_values.values()])
for number in range(300):
    sessions[str(number)]
    assert sessions["a page"] is first
print("sessions:", len(sessions.session_data), "1" in sessions)
LocalContext.blocks.set(blocks)
try:
    _check_allowed("/etc/passwd", True)
except InvalidPathError:
    print("refused")
"""


def test_the_app_itself_takes_only_uploads_and_remembers_few_sessions(tmp_path: Path) -> None:
    """The check stands behind the one that answers with 403. Every call is a session to Gradio."""
    command = [sys.executable, "-c", WITHOUT_GUARD, str(tmp_path / "home")]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert found.stdout == "described: 0, ['mood@1']\nsessions: 250 False\nrefused\n"


WRONG = (None, {"a": ["b"]}, -1, 10**18, "\x00" + "../" * 2000)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_wrong_types_are_told_in_one_line_by_every_function(attacked: Server, client: httpx.Client) -> None:
    """Each argument in turn, the others as they are by default; a value that fits is answered."""
    functions = client.get("/gradio_api/info").json()["named_endpoints"]
    memory = resident(attacked)
    for path, told in functions.items():
        usual = [each.get("parameter_default") for each in told["parameters"]]
        for place in range(len(usual)):
            for value in WRONG:
                given = [*usual[:place], value, *usual[place + 1 :]]
                event, data = called(client, path[1:], *given)
                if event == "error":
                    said = data["error"]
                    assert isinstance(said, str) and "\n" not in said, (path, given)
                    assert 0 < len(said) <= 1000, (path, given)
        for given in ([], [None] * 50):
            if called(client, path[1:], *given)[0] == "error":
                refused(client, path[1:], *given)
    assert resident(attacked) - memory < KEPT
    with Registry(attacked.home) as registry:
        assert {job.kind for job in registry.jobs.list("queued")} <= {"retrain_router"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", 'This request is not JSON, such as {"data": []}.'),
        (b"\xff\xfe{}", 'This request is not JSON, such as {"data": []}.'),
        (b"[" * 100_000, 'This request is not JSON, such as {"data": []}.'),
        (b"[" * 60 + b"]" * 60, "At most 50 lists and objects may lie inside each other."),
        (b'{"data": [NaN]}', 'This request is not JSON, such as {"data": []}.'),
        (b'{"data": [1e999]}', "A number in this request is too large."),
        (b'{"data": [' + b"9" * 30 + b"]}", "A number in this request is too large."),
        (b'{"data": [' + b"9" * 5000 + b"]}", 'This request is not JSON, such as {"data": []}.'),
        (b'{"data": ["\\ud800"]}', "Text in this request holds half of a character."),
        (b'{"data": [{"\\udfff": 1}]}', "Text in this request holds half of a character."),
    ],
    ids=lambda value: repr(value[:24]),
)  # fmt: skip
def test_what_is_no_json_is_told_so(client: httpx.Client, body: bytes, said: str) -> None:
    for path in (JOIN, "/gradio_api/call/predict", "/gradio_api/call/show_job/"):
        found = client.post(path, content=body, headers={"content-type": "application/json"})
        assert (found.status_code, found.text) == (400, said + "\n")


def zipped(content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.csv", content)
    return made.getvalue()


PACKED = {
    "gzip": gzip.compress,
    "zip or spreadsheet": zipped,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("kind", PACKED)
def test_a_packed_file_is_refused_and_never_unpacked(
    attacked: Server, client: httpx.Client, kind: str
) -> None:
    """Here it would be 60 MB; some are petabytes."""
    bomb = uploaded(client, "rows.csv", PACKED[kind](bytes(60_000_000)))
    memory = resident(attacked)
    event, shown = called(client, "preview_task", bomb, {})
    assert event == "complete"
    assert shown[0]["refusal"].startswith("rows.csv")
    assert kind in shown[0]["refusal"]
    assert kind in refused(client, "add_task", bomb, {"name": "packed"})
    assert kind in refused(client, "predict_table", bomb, {})
    assert resident(attacked) - memory < SPENT


def test_a_compressed_request_is_refused_unread(client: httpx.Client) -> None:
    bomb = gzip.compress(bytes(100_000_000))
    for path in (UPLOAD, JOIN, "/login", "/gradio_api/call/predict"):
        found = client.post(path, content=bomb, headers={"content-encoding": "gzip"})
        assert (found.status_code, found.text) == (415, "Send the request as it is, not compressed.\n")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Host": "evil.example"}, 400),
        ({"Host": "127.0.0.1.evil.example"}, 400),
    ],
    ids=str,
)
def test_no_other_site_changes_anything(
    attacked: Server, client: httpx.Client, headers: dict[str, str], status: int
) -> None:
    with Registry(attacked.home) as registry:
        before = registry.jobs.list()
        for name in ("fit_router", "promote_generation", "cancel_job", "add_task"):
            found = client.post(f"/gradio_api/call/{name}", json={"data": ["gate"]}, headers=headers)
            assert found.status_code == status
            assert found.text.count("\n") == 1
        assert registry.jobs.list() == before


@pytest.mark.parametrize(
    "said",
    [
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nbad header\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    ],
    ids=["no version", "tls", "no header", "two lengths", "no chunk", "long header"],
)
def test_what_is_no_http_is_answered_with_400_and_no_line_in_the_log(attacked: Server, said: bytes) -> None:
    with socket.create_connection(attacked.address, timeout=30) as connection:
        connection.sendall(said)
        assert re.match(rb"HTTP/1.1 4\d\d ", received(connection))
    assert attacked.printed() == ""


def test_a_web_socket_is_refused_and_no_line_in_the_log(attacked: Server, client: httpx.Client) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    found = client.get("/queue/join", headers=headers | {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
    assert found.status_code == 404
    assert attacked.printed() == ""
