"""Files that nobody should send: refused at once, in one line, and nothing of them stays in the server."""

import bz2
import gzip
import io
import lzma
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.ui.server.attacks.attacking import (
    CSV,
    JOIN,
    SPENT,
    UPLOAD,
    called,
    named,
    refused,
    resident,
    uploaded,
)
from tests.ui.server.serving import ROOT, Server

NOT_UPLOADED = "This names a file that nobody uploaded: POST it to /gradio_api/upload.\n"


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
