"""What the server lets in, and what it says to the rest: asked of a real one."""

import re
from pathlib import Path

import httpx
import pytest

from tests.ui.server.serving import Server
from ui.server.settings import Settings

UPLOAD = "/gradio_api/upload"
JOIN = "/gradio_api/queue/join"
CSV = {"files": ("a.csv", b"text,label\nx,1\n")}
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    "name", ["127.0.0.1:{}", "localhost:{}", "LOCALHOST:{}", "[::1]:{}", "127.0.0.1", "localhost"]
)
def test_the_server_goes_by_the_names_of_its_machine(server: Server, client: httpx.Client, name: str) -> None:
    found = client.get("/config", headers={"Host": name.format(server.address[1])})
    assert found.status_code == 200


@pytest.mark.parametrize(
    "name", ["evil.example", "evil.example:{}", "127.0.0.1:1", "", "127.0.0.1.evil.example:{}", "0.0.0.0:{}"]
)
def test_a_name_that_is_not_the_servers_is_refused(server: Server, client: httpx.Client, name: str) -> None:
    for path in ("/", "/config", "/healthz", "/login"):
        found = client.get(path, headers={"Host": name.format(server.address[1])})
        assert found.status_code == 400
        assert found.text == "This server does not go by that name (registry ui --allow-host NAME).\n"


def test_what_a_proxy_would_say_is_not_believed(server: Server, client: httpx.Client) -> None:
    said = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "Forwarded": "host=evil.example",
    }
    root = client.get("/config", headers=said).json()["root"]
    assert root == f"http://127.0.0.1:{server.address[1]}"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
    ],
    ids=str,
)
def test_only_pages_of_this_server_may_change_anything(
    client: httpx.Client, headers: dict[str, str], status: int
) -> None:
    assert client.post(UPLOAD, headers=headers, files=CSV).status_code == status
    assert client.get("/config", headers=headers).status_code == 200


def test_a_page_of_this_server_may(server: Server, client: httpx.Client) -> None:
    for name in ("127.0.0.1", "localhost"):
        host = f"{name}:{server.address[1]}"
        headers = {"Origin": f"http://{host}", "Host": host, "Sec-Fetch-Site": "same-origin"}
        assert client.post(UPLOAD, headers=headers, files=CSV).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:9999"])
def test_other_origins_are_told_that_they_may_read_nothing(client: httpx.Client, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for found in (client.get("/config", headers={"Origin": origin}), client.options(UPLOAD, headers=asked)):
        assert "access-control-allow-origin" not in found.headers
        assert "access-control-allow-credentials" not in found.headers


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
def test_other_methods_are_not_answered(client: httpx.Client, method: str) -> None:
    found = client.request(method, "/")
    assert (found.status_code, found.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/openapi.json",
            "/docs",
            "/redoc",
            "/monitoring",
            "/monitoring/summary",
            "/nothing",
        ),
        *(
            f"/gradio_api/{name}"
            for name in (
                *("openapi.json", "docs", "proxy=http://127.0.0.1:1/", "dev/reload", "runs", "vibe-code"),
                *("vibe-edit", "component_server", "process_recording", "custom_component/a/b/c/d", "token"),
                *("deep_link", "stream/a", "mcp", "api/predict", "run/predict"),
            )
        ),
    ],
)
def test_what_no_page_asks_for_is_not_there(client: httpx.Client, path: str) -> None:
    for method in ("GET", "POST"):
        found = client.request(method, path)
        assert (found.status_code, found.text) == (404, "There is no such page.\n")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/config",
        "/healthz",
        "/metrics",
        "/login",
        "/nothing",
        "/assets/nothing.js",
        UPLOAD,
        "/lineage/a.svg",
    ],
)
def test_every_answer_says_what_browsers_may_do_with_it(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    scripts = re.findall(r"(?:default|script)-src ([^;]*)", policy)
    assert scripts in (["'self'", "'self'"], ["'none'"])
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers


def test_the_front_page_holds_no_script_of_its_own_and_names_no_other_host(client: httpx.Client) -> None:
    for _ in range(2):
        page = client.get("/").text
        assert "<title>Expert Registry</title>" in page
        assert (
            re.findall(r"<script[^>]*>", page)
            == re.findall(r"<script[^>]* src=\"\./assets/[^>]*>", page)
            != []
        )
        assert "//" not in page
        assert "<gradio-app" in page


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "//etc/passwd",
        "/proc/self/environ",
        "pyproject.toml",
        "http://127.0.0.1:1/",
        "file:///etc/passwd",
        "{home}/registry.db",
        "{home}/cache/browser/../../registry.db",
        "%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_no_file_is_served_but_uploads(server: Server, client: httpx.Client, path: str) -> None:
    found = client.get("/gradio_api/file=" + path.format(home=server.home))
    assert found.status_code in (403, 404)
    assert "root:" not in found.text


@pytest.mark.parametrize(
    "name",
    [
        "../../../evil.csv",
        "..\\..\\evil.csv",
        "/etc/cron.d/x.csv",
        "a" * 400 + ".csv",
        ".csv",
        "a\u202efdp.csv",
        "a;b$(id).csv",
        "con.csv",
        HOSTILE,
    ],
)
def test_whatever_an_upload_is_called_it_stays_in_its_folder(
    server: Server, client: httpx.Client, name: str
) -> None:
    found = client.post(UPLOAD, files={"files": (name, b"text,label\nx,1\n")})
    assert found.status_code == 200
    folder = server.home / "cache" / "browser"
    [path] = found.json()
    assert Path(path).resolve().is_relative_to(folder)
    served = client.get(f"/gradio_api/file={path}")
    assert served.headers["content-disposition"].startswith("attachment")
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("settings", "public"),
    [
        ({}, False),
        ({"host": "localhost"}, False),
        ({"host": "::1"}, False),
        ({"host": "0.0.0.0"}, True),
        ({"host": "::"}, True),
        ({"host": "192.0.2.1"}, True),
        ({"allowed_hosts": ("registry.example",)}, True),
        ({"proxies": ("127.0.0.1",)}, True),
    ],
    ids=str,
)
def test_a_server_knows_whether_others_may_reach_it(settings: dict[str, object], public: bool) -> None:
    assert Settings(**settings).public is public  # type: ignore[arg-type]


def test_allowed_hosts_are_names_with_and_without_the_port() -> None:
    settings = Settings(host="::", port=80, allowed_hosts=("Registry.example", "other.example:8443"))
    assert settings.hosts() == {
        *("[::]", "[::]:80", "127.0.0.1", "127.0.0.1:80", "localhost", "localhost:80", "[::1]", "[::1]:80"),
        *("registry.example", "registry.example:80", "other.example:8443", "other.example:8443:80"),
    }
    assert settings.url == "http://[::]:80/"
