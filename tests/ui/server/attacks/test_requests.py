"""Requests that nobody should send: refused at once, in one line, and nothing of them stays in the server."""

import gzip
import re
import socket
import time

import httpx
import pytest

from registry import Registry
from tests.ui.server.attacks.attacking import JOIN, SPENT, UPLOAD, received, resident
from tests.ui.server.serving import Server

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
