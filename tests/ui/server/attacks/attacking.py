"""How what nobody should send is sent."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import httpx

from tests.ui.server.serving import Server

UPLOAD, JOIN = "/gradio_api/upload", "/gradio_api/queue/join"


CSV = b"text,label\n" + b"a,x\nb,y\n" * 20


SPENT = 50_000_000
"""Bytes of memory that refusing may take, where what is refused would take more."""


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


def received(connection: socket.socket) -> bytes:
    found = b""
    try:
        while piece := connection.recv(65536):
            found += piece
    except OSError:
        pass
    return found
