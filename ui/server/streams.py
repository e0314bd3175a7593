"""The stream of answers to a page: it ends when both sides know that it has.

A page asks by one request and is answered in a stream. The app ends the stream as soon as nothing is asked,
and the page opens another for its next question. A question that crosses the end of a stream on its way would
be answered into a stream that the page takes for open and that nobody reads: the page would wait for ever.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.server.payloads import JOIN, SESSION

DATA = "/gradio_api/queue/data"
LINGERING = 3.0
"""Seconds without a question after which a stream ends."""
PATIENCE = 5.0
"""Seconds that a client has for hanging up on a stream that has ended; every one at hand does so at once."""
LONGEST = 200
"""Bytes of the part of a stream that ends it, at most; others can hold a whole page."""


class Streams:
    """Makes one stream of several of the app's that follow each other closely.

    While a stream ends, the next question waits until the page has seen that it has.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._coming: Counter[str] = Counter()
        self._asked: dict[str, asyncio.Event] = {}
        self._ended: dict[str, asyncio.Event] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        path = scope.get("path", "").rstrip("/")
        if path == DATA:
            await self._answer(scope, receive, send)
        elif path == JOIN:
            await self._ask(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = scope[SESSION]
        while page in self._ended:
            await self._ended[page].wait()
        self._coming[page] += 1
        if page in self._asked:
            self._asked[page].set()
        try:
            await self._app(scope, receive, send)
        finally:
            self._coming[page] -= 1
            self._coming += Counter()  # Those at zero go.

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = Request(scope).query_params.get("session_hash", "")
        asked = self._asked[page] = asyncio.Event()
        begun, last_words = False, b""

        async def pass_on(message: Message) -> None:
            nonlocal begun, last_words
            if message["type"] == "http.response.start":
                begun, again = True, begun
                if again:
                    return
            elif _is_the_end(message):
                last_words = message["body"]
                if not self._coming[page]:
                    asked.clear()
            if not last_words:
                await send(message)

        try:
            await self._app(scope, receive, pass_on)
            # What comes at the last moment may set it while the wait ends.
            while last_words and (await _within(LINGERING, asked.wait()) or asked.is_set()):
                last_words = b""
                await self._app(scope, receive, pass_on)
        finally:
            if self._asked.get(page) is asked:
                del self._asked[page]
        if last_words:
            await self._end(page, last_words, receive, send)

    async def _end(self, page: str, last_words: bytes, receive: Receive, send: Send) -> None:
        seen = self._ended[page] = asyncio.Event()
        try:
            await send({"type": "http.response.body", "body": last_words, "more_body": True})
            await _within(PATIENCE, _hung_up(receive))
        finally:
            seen.set()
            if self._ended.get(page) is seen:
                del self._ended[page]
        await send({"type": "http.response.body", "body": b""})


def _is_the_end(message: Message) -> bool:
    """Whether this part of a stream says that nothing comes after it."""
    body: bytes = message.get("body", b"")
    if not (body.startswith(b"data:") and len(body) < LONGEST):
        return False
    return bool(json.loads(body.removeprefix(b"data:"))["msg"] == "close_stream")


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _within(seconds: float, coming: Coroutine[Any, Any, object]) -> bool:
    """Whether it has come in this time."""
    with suppress(TimeoutError):
        await asyncio.wait_for(coming, seconds)
        return True
    return False
