"""One request and its answer as the guard sees them: counted, timed, with headers added."""

import asyncio
import time
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.server.answers import plain

LINGERING = 1.0
"""Seconds for which what still comes of a refused body is thrown away before the connection is closed: closed
at once, with bytes unread, it would be reset, and on some systems a reset overtakes the answer."""


class Exchange:
    """Passes one request to an application, and its answer back.

    A body longer than `limit` is answered with 413, whatever the application makes of it; one that stops
    coming, with 408.

    Attributes:
        status: of the answer; 0 as long as there is none.
        seconds: until the answer began.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        limit: int,
        patience: float,
        added: Iterable[tuple[str, str]],
    ) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._limit, self._patience, self._added = limit, patience, added
        headers = Headers(scope=scope)
        self._declared = headers.get("content-length", "")
        self._coming = self._declared not in ("", "0") or "transfer-encoding" in headers
        self._asks_first = "expect" in headers
        self._refusal: tuple[int, str] | None = None
        self._read = 0
        self._begun = time.monotonic()
        self._over = False
        self.status, self.seconds = 0, 0.0

    async def run(self, app: ASGIApp) -> None:
        """Lets `app` answer."""
        if self._declared.isdigit() and int(self._declared) > self._limit:
            self._refuse_size()
        if self._refusal is None:
            try:
                await app(self._scope, self._receive_counted, self._send_checked)
            except ClientDisconnect:
                if self._refusal is None:
                    return  # The client has gone, so there is nobody to answer.
        if self._refusal is not None and not self.status:
            await self._answer_refusal()

    def _refuse_size(self) -> None:
        self._refusal = (
            413,
            f"This request is larger than {self._limit:,} bytes, the most that is taken here.",
        )

    async def _receive_counted(self) -> Message:
        if self._refusal is not None:
            return {"type": "http.disconnect"}
        if not self._coming:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._patience)
        except TimeoutError:
            self._refusal = (408, "The request stopped coming in.")
            self._coming = False
            return {"type": "http.disconnect"}
        self._note(message)
        if self._read > self._limit:
            self._refuse_size()
            return {"type": "http.disconnect"}
        return message

    def _note(self, message: Message) -> None:
        self._asks_first = False
        self._read += len(message.get("body", b""))
        self._coming = message["type"] == "http.request" and message.get("more_body", False)

    async def _send_checked(self, message: Message) -> None:
        if self._over:
            return
        if self._refusal is not None and not self.status:
            await self._answer_refusal()
            return
        await self._pass(message)

    async def _answer_refusal(self) -> None:
        assert self._refusal is not None
        status, sentence = self._refusal
        response = plain(status, sentence, {"connection": "close"})
        await response(self._scope, self._receive, self._pass)
        self._over = True

    async def _pass(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.seconds = message["status"], time.monotonic() - self._begun
            headers = MutableHeaders(scope=message)
            for name, value in self._added:
                headers.setdefault(name, value)
            if self._coming:  # What is not read now is the beginning of no other request.
                headers["connection"] = "close"
        elif self._coming and not self._asks_first and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._drain()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _drain(self) -> None:
        """Reads what still comes of the body, and forgets it."""
        try:
            async with asyncio.timeout(LINGERING):
                while self._coming:
                    self._note(await self._receive())
        except TimeoutError:
            return
