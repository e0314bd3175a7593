"""What a request may bring: asked of a real server."""

import asyncio
import re
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.ui.server.serving import Server
from ui.server.exchange import Exchange

UPLOAD = "/gradio_api/upload"
JOIN = "/gradio_api/queue/join"


def chunks(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield bytes(100_000)


TOO_LARGE = "This request is larger than {:,} bytes, the most that is taken here.\n"


def test_every_kind_of_body_that_is_too_large_is_told_so(client: httpx.Client) -> None:
    multipart = {"content-type": "multipart/form-data; boundary=x"}
    field = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
    assert client.post(JOIN, content=bytes(3_000_000)).text == TOO_LARGE.format(2_000_000)
    assert client.post(JOIN, content=chunks(30)).text == TOO_LARGE.format(2_000_000)
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/login", content=chunks(30), headers=form).status_code == 413
    for body in (field + bytes(60_000_000), iter((field, *chunks(600)))):
        found = client.post(UPLOAD, content=body, headers=multipart)
        assert (found.status_code, found.text) == (413, TOO_LARGE.format(52_000_000))
        assert found.headers["x-content-type-options"] == "nosniff"
    found = client.post(UPLOAD, files={"files": ("a.csv", bytes(51_000_000))})
    assert (found.status_code, found.text) == (
        413,
        "File size exceeded maximum allowed size of 50000000 bytes.",
    )


def test_memory_stays_flat_whatever_is_sent(client: httpx.Client) -> None:
    def resident() -> int:
        found = re.search(r"^process_resident_memory_bytes (\d+)$", client.get("/metrics").text, re.MULTILINE)
        assert found is not None
        return int(found[1])

    client.post(UPLOAD, content=chunks(20))
    before = resident()
    for _ in range(3):
        assert client.post(JOIN, content=chunks(500)).status_code == 413
        assert client.post("/config", content=bytes(60_000_000)).status_code == 413
    assert resident() - before < 30_000_000


def test_a_client_that_asks_first_is_answered_at_once(server: Server) -> None:
    with socket.create_connection(server.address, timeout=20) as connection:
        headers = "Host: localhost\r\nContent-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(f"POST {UPLOAD} HTTP/1.1\r\n{headers}".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_too_many_files_are_refused(client: httpx.Client) -> None:
    found = client.post(UPLOAD, files=[("files", (f"{number}.csv", b"a")) for number in range(1001)])
    assert (found.status_code, found.text) == (400, "Too many files. Maximum number of files is 1000.")


def test_compressed_bodies_are_refused_unread(client: httpx.Client) -> None:
    for encoding in ("gzip", "br", "deflate, gzip", "zstd"):
        found = client.post(JOIN, content=b"\x1f\x8b", headers={"content-encoding": encoding})
        assert (found.status_code, found.text) == (415, "Send the request as it is, not compressed.\n")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (JOIN, {"fn_index": 10**9, "data": [], "session_hash": "a"}, 400),
        (JOIN, {"fn_index": -1, "data": [], "session_hash": "a"}, 400),
        (JOIN, {"fn_index": "x", "data": []}, 422),
        (JOIN, {"data": 1}, 422),
        (JOIN, [], 422),
        ("/gradio_api/call/nothing", {"data": []}, 404),
        ("/gradio_api/call/nothing", {"data": 1}, 422),
        ("/gradio_api/cancel", {"event_id": 1}, 422),
    ],
    ids=str,
)
def test_wrong_types_are_refused(client: httpx.Client, path: str, body: object, status: int) -> None:
    assert client.post(path, json=body).status_code == status


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"a"),
        ("multipart/form-data; boundary=x", b"a"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\na\r\n--x--\r\n',
        ),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n"),
        ("text/csv", b"text,label"),
        ("", b"a"),
    ],
    ids=[
        "no boundary",
        "no form",
        "a field",
        "nothing said",
        "no multipart",
        "no type",
    ],
)
def test_broken_uploads_are_refused(client: httpx.Client, kind: str, body: bytes) -> None:
    assert client.post(UPLOAD, content=body, headers={"content-type": kind}).status_code == 400


def test_a_body_that_stops_coming_is_given_up() -> None:
    """The server waits half a minute; here it waits less."""
    sent = []

    async def receive() -> dict[str, object]:
        await asyncio.sleep(60)
        raise AssertionError

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async def read(scope: object, receive, send) -> None:  # type: ignore[no-untyped-def]
        assert await receive() == {"type": "http.disconnect"}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-length", b"10")]}
    exchange = Exchange(scope, receive, send, limit=100, patience=0.05, added=())  # type: ignore[arg-type]
    asyncio.run(asyncio.wait_for(exchange.run(read), 5))
    assert exchange.status == 408
    assert sent[-1]["body"] == b"The request stopped coming in.\n"
