"""What a call of a function carries, looked at before the app takes it.

A page or a program names an uploaded file by the path that the server gave it. The app would take any other
path, or fetch any address, that stands in such a place: so only uploads may stand there.
"""

import json
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.server.answers import plain

JOIN, CALL = "/gradio_api/queue/join", "/gradio_api/call/"
SESSION = "page"
"""Where the scope of a call names the page that it comes from."""
DEEPEST = 50
"""Lists and objects inside each other; the app handles each level by a call inside a call."""
LARGEST = 1 << 63


class RefusedPayloadError(Exception):
    """What a call carries cannot be taken; `status` answers it, with one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Payloads:
    """Refuses calls with files that nobody uploaded, with text that is no Unicode, with numbers too large.

    Args:
        uploads: The folder that uploaded files are in.
    """

    def __init__(self, app: ASGIApp, uploads: Path) -> None:
        self._app, self._uploads = app, uploads.resolve()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] != "POST" or not _is_call(scope["path"]):
            await self._app(scope, receive, send)
            return
        body = await Request(scope, receive).body()
        try:
            payload = _parsed(body)
            _check(payload, self._uploads)
        except RefusedPayloadError as refused:
            await plain(refused.status, str(refused))(scope, receive, send)
            return
        session = payload.get("session_hash") if isinstance(payload, dict) else None
        await self._app({**scope, SESSION: str(session)}, _again(body, receive), send)


def _is_call(path: str) -> bool:
    return path.rstrip("/") == JOIN or path.startswith(CALL)


def _again(body: bytes, receive: Receive) -> Receive:
    """The body once more, then whatever else comes."""
    kept: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return kept.pop() if kept else await receive()

    return give


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise RefusedPayloadError(400, 'This request is not JSON, such as {"data": []}.') from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _check(payload: object, uploads: Path) -> None:
    """Goes through all that a call carries.

    Raises:
        RefusedPayloadError: at the first that cannot be taken.
    """
    waiting: list[tuple[object, int]] = [(payload, 0)]
    while waiting:
        found, depth = waiting.pop()
        if depth > DEEPEST:
            raise RefusedPayloadError(400, f"At most {DEEPEST} lists and objects may lie inside each other.")
        if isinstance(found, str):
            _check_text(found)
        elif isinstance(found, (int, float)) and not (isfinite(found) and abs(found) < LARGEST):
            raise RefusedPayloadError(400, "A number in this request is too large.")
        elif isinstance(found, dict):
            if "path" in found and "meta" in found:
                _check_file(found["path"], found["meta"], uploads)
            waiting += [(part, depth + 1) for pair in found.items() for part in pair]
        elif isinstance(found, list):
            waiting += [(part, depth + 1) for part in found]


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RefusedPayloadError(400, "Text in this request holds half of a character.") from None


def _check_file(path: object, meta: object, uploads: Path) -> None:
    try:
        known = isinstance(path, str) and isinstance(meta, dict)
        known = known and Path(str(path)).resolve().is_relative_to(uploads)
    except (ValueError, OSError):  # a zero byte; a name that is too long
        known = False
    if not known:
        raise RefusedPayloadError(
            403, "This names a file that nobody uploaded: POST it to /gradio_api/upload."
        )
