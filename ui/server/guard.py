"""What stands before everything else: whom the server answers, and what it lets in."""

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ui.server.settings import LOOPBACK, Settings


class Guard:
    """Answers only requests that ask for this server by one of its names."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        names = {settings.host, *LOOPBACK, *settings.allowed_hosts}
        self.hosts = names | {f"{name}:{settings.port}" for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if headers.get("host") not in self.hosts:
            return await PlainTextResponse("Unknown host.", 400)(scope, receive, send)
        await self.app(scope, receive, send)
