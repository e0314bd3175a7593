"""A page's question is answered although the stream of answers to it is just ending."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWaiting
from typing import Any

import httpx
import pytest

from tests.ui.server.serving import Server

SESSION = {"session_hash": "apage"}


def ask(client: httpx.Client, session: dict[str, str]) -> httpx.Response:
    """What a page sends when its tab of experts asks for all of them."""
    functions = client.get("/config").json()["dependencies"]
    number = next(one["id"] for one in functions if one["api_name"] == "list_experts")
    return client.post("/gradio_api/queue/join", json={"data": ["", False], "fn_index": number, **session})


def messages(stream: httpx.Response) -> Iterator[dict[str, Any]]:
    return (json.loads(line.removeprefix("data:")) for line in stream.iter_lines() if line)


def test_a_question_waits_until_the_page_has_seen_the_end_of_its_stream(server: Server) -> None:
    with server.client() as client, ThreadPoolExecutor() as threads:
        assert ask(client, SESSION).status_code == 200
        with client.stream("GET", "/gradio_api/queue/data", params=SESSION) as stream:
            told = messages(stream)  # Kept: the client hangs up when it goes.
            assert "close_stream" in (one["msg"] for one in told)
            crossing = threads.submit(ask, client, SESSION)
            with pytest.raises(StillWaiting):
                crossing.result(0.5)
            assert ask(client, {"session_hash": "another"}).status_code == 200
            assert not crossing.done()
        assert crossing.result(30).status_code == 200
        with client.stream("GET", "/gradio_api/queue/data", params=SESSION) as stream:
            answers = [one["output"]["data"] for one in messages(stream) if one["msg"] == "process_completed"]
        assert answers == [[{"experts": []}]]


def test_a_client_that_never_hangs_up_is_waited_for_some_seconds(server: Server) -> None:
    with server.client() as client:
        assert ask(client, SESSION).status_code == 200
        with client.stream("GET", "/gradio_api/queue/data", params=SESSION) as stream:
            told = messages(stream)
            assert "close_stream" in (one["msg"] for one in told)
            assert ask(client, SESSION).status_code == 200
            assert list(told) == []
