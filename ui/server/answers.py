"""Answers that are plain text for people and programs alike."""

from collections.abc import Mapping

from starlette.responses import PlainTextResponse


def plain(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> PlainTextResponse:
    """One sentence."""
    return PlainTextResponse(sentence + "\n", status, headers=dict(headers or {}))
