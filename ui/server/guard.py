"""What stands before everything else: whom the server answers, what it lets in, what browsers may do."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from ui.server.answers import plain
from ui.server.exchange import Exchange
from ui.server.metrics import Metrics
from ui.server.settings import Settings

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""No script but from this server's own files, nothing from other hosts, no other site around this one."""

HEADERS = (
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
)

UPLOAD = "/gradio_api/upload"
PAGES = frozenset(
    {
        *("/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt"),
        *("/login", "/logout", "/healthz", "/metrics"),
        *(f"/gradio_api/{name}" for name in ("info", "app_id", "login_check", "startup-events", "theme.css")),
        *(
            f"/gradio_api/{name}"
            for name in ("queue/join", "queue/data", "cancel", "reset", "upload_progress")
        ),
        UPLOAD,
    }
)
FOLDERS = ("/assets/", "/static/", "/svelte/", "/lineage/", "/gradio_api/call/", "/gradio_api/heartbeat/")
FILES = "/gradio_api/file="
"""All that is ever asked for: what else Gradio answers, now or in a later version, is not reachable."""

_SAFE, _METHODS = ("GET", "HEAD", "OPTIONS"), ("GET", "HEAD", "OPTIONS", "POST")
_SAID_BY_PROXIES = (b"x-forwarded-", b"forwarded", b"x-gradio-", b"x-direct-url", b"x-real-ip")


class Guard:
    """Refuses what no page and no program of ours sends; adds headers; counts."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._hosts = settings.hosts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:  # Nothing here is a web socket.
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._settings.proxies:
            scope = {**scope, "headers": [pair for pair in scope["headers"] if not _from_a_proxy(pair[0])]}
        limit = self._settings.max_body
        if scope["path"] == UPLOAD:
            limit += self._settings.max_upload
        exchange = Exchange(
            scope, receive, send, limit=limit, patience=self._settings.patience, added=HEADERS
        )
        refusal = self._refusal(scope)
        with self._metrics.answering(scope["method"], exchange):
            await exchange.run(self._app if refusal is None else refusal)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        """The answer to what should not have been asked."""
        headers = HTTPConnection({**scope, "type": "http"}).headers
        if any(name.lower() not in self._hosts for name in _named(headers)):
            return plain(400, "This server does not go by that name (registry ui --allow-host NAME).")
        if scope["method"] not in _METHODS:
            return plain(405, "This method is not answered.", {"allow": ", ".join(_METHODS)})
        if scope["method"] not in _SAFE and not _same_origin(headers):
            return plain(403, "Another site asked for this.")
        if headers.get("content-encoding", "identity") != "identity":
            return plain(415, "Send the request as it is, not compressed.")
        if not _reachable(scope["path"]):
            return plain(404, "There is no such page.")
        return None


def _named(headers: Headers) -> list[str]:
    """The names by which a request asks for this server."""
    return [headers.get("host", ""), *headers.getlist("x-forwarded-host")]


def _from_a_proxy(name: bytes) -> bool:
    return name.lower().startswith(_SAID_BY_PROXIES)


def _same_origin(headers: Headers) -> bool:
    """Whether a page of this server asked, or no page at all: only browsers send either header."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() in [name.lower() for name in _named(headers)]


def _reachable(path: str) -> bool:
    return (path.rstrip("/") or "/") in PAGES or path.startswith((*FOLDERS, FILES))
