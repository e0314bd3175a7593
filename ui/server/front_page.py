"""The app's own page without the scripts written into it, which the content policy forbids.

They only hand over a configuration that the app else asks for, and nothing on the page depends on who asks:
one copy serves everybody.
"""

import re
from html import escape

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_INLINE = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>.*?</script>", re.DOTALL | re.IGNORECASE)
# For other sites that link to this one; some name pictures on other hosts.
_SOCIAL = re.compile(rb'<meta\s+(?:property|name)="(?:og|twitter):[^>]*>', re.IGNORECASE)


class FrontPage:
    """Answers `/`; everything else is the app's."""

    def __init__(self, app: ASGIApp, title: str) -> None:
        self._app = app
        self._head = f"<title>{escape(title)}</title>".encode()
        self._page: bytes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        if self._page is None:
            self._page = await self._made(scope, receive)
        await HTMLResponse(self._page, headers={"cache-control": "no-cache"})(scope, receive, send)

    async def _made(self, scope: Scope, receive: Receive) -> bytes:
        parts: list[bytes] = []

        async def collect(message: Message) -> None:
            parts.append(message.get("body", b""))

        headers = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]
        await self._app({**scope, "method": "GET", "headers": headers, "query_string": b""}, receive, collect)
        page = b"".join(parts)
        assert b"<gradio-app" in page, Headers(scope=scope)
        return _SOCIAL.sub(b"", _INLINE.sub(b"", page)).replace(b"<head>", b"<head>\n" + self._head, 1)
