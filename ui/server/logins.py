"""Who asks: sessions in cookies, tokens in headers, and the pages to log in and out."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import parse_qsl, quote, urlsplit

from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from registry.users import SESSION, Users
from ui.server import pages
from ui.server.answers import plain
from ui.server.attempts import Attempts
from ui.server.settings import Settings

WHO = "registry.user"
"""Where in a request's scope the user's name stands; empty where nobody has to log in."""

OPEN = ("/healthz", "/login")
REMEMBERED = 2.0
"""Seconds for which an answer of the database is believed: a page asks for many files at once."""
_KEPT = 1000
_SCRYPT = 2  # at a time: each takes 16 MiB and one core

T = TypeVar("T")


class Memory:
    """Answers that stay true for a moment."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], tuple[float, object]] = OrderedDict()

    async def ask(self, question: Callable[[str], T], about: str = "") -> T:
        """What `question` says about something; asked in a thread, since a database may let one wait."""
        key = (question.__name__, about)
        until, answer = self._known.get(key, (0.0, None))
        if until > time.monotonic():
            return answer  # type: ignore[return-value]
        found = await run_in_threadpool(question, about)
        self._known[key] = (time.monotonic() + REMEMBERED, found)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return found

    def forget(self) -> None:
        """Asks everything anew."""
        self._known.clear()


class Logins:
    """Lets in who is logged in or brings a token, and everybody as long as there are no users.

    A server that others than this machine reach always asks.
    """

    def __init__(self, app: ASGIApp, users: Users, settings: Settings) -> None:
        self._app, self._users, self._settings = app, users, settings
        self._memory, self._attempts = Memory(), Attempts()
        self._limiter: CapacityLimiter | None = None
        self._cookie = f"registry-session-{settings.port}"  # Servers on one host share their cookies.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        user = await self._user(request)
        if scope["path"] == "/login":
            response = await self._log_in(request)
        elif scope["path"] == "/logout":
            response = await self._log_out(request, user)
        elif user is None and scope["path"] not in OPEN:
            response = self._unknown(request)
        else:
            await self._app({**scope, WHO: user}, receive, send)
            return
        await response(scope, receive, send)

    async def _user(self, request: HTTPConnection) -> str | None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return await self._memory.ask(self._of_token, token.strip())
        session = request.cookies.get(self._cookie)
        user = await self._memory.ask(self._of_session, session) if session else None
        if user is None and not self._settings.public and not await self._memory.ask(self._any):
            return ""
        return user

    def _any(self, _: str) -> bool:
        return self._users.any()

    def _of_session(self, secret: str) -> str | None:
        return self._users.of_session(secret)

    def _of_token(self, secret: str) -> str | None:
        return self._users.of_token(secret)

    def _unknown(self, request: Request) -> Response:
        """The page to log in, for people; one line for programs."""
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(f"/login?next={quote(_wanted(str(request.url)), safe='/')}", 303)
        return plain(401, "Log in at /login, or send a token.", {"www-authenticate": "Bearer"})

    async def _log_in(self, request: Request) -> Response:
        if request.method != "POST":
            return pages.log_in(_wanted(request.query_params.get("next", "")))
        try:
            form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), max_num_fields=10))
        except ValueError:
            return plain(400, "This is not the form to log in.")
        name, password, wanted = form.get("name", ""), form.get("password", ""), _wanted(form.get("next", ""))
        address = request.client.host if request.client else ""
        seconds = self._attempts.wait(address, name[:100])
        if seconds:
            return pages.log_in(wanted, pages.wait_message(seconds), status=429, retry_after=seconds)
        self._limiter = self._limiter or CapacityLimiter(_SCRYPT)
        secret = await to_thread.run_sync(self._users.log_in, name, password, limiter=self._limiter)
        if secret is None:
            return pages.log_in(wanted, "Unknown name or wrong password.", status=401)
        self._attempts.succeeded(address, name[:100])
        response = RedirectResponse(wanted, 303)
        response.set_cookie(
            self._cookie,
            secret,
            max_age=int(SESSION),
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    async def _log_out(self, request: Request, user: str | None) -> Response:
        if request.method != "POST":
            return pages.log_out(user)
        secret = request.cookies.get(self._cookie)
        if secret:
            await run_in_threadpool(self._users.log_out, secret)
            self._memory.forget()
        response = RedirectResponse("/login", 303)
        response.delete_cookie(self._cookie, httponly=True, samesite="lax")
        return response


def _wanted(url: str) -> str:
    """The page on this server that somebody wanted to see, whatever else `url` says."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "/"
    path = "/" + parts.path.lstrip("/\\")
    if path in ("/login", "/logout") or any(letter < " " or letter == "\\" for letter in url):
        return "/"
    return path + (f"?{parts.query}" if parts.query else "")
