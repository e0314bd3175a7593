"""Values of every wrong type, to every function."""

import httpx
import pytest

from registry import Registry
from tests.ui.server.attacks.attacking import called, refused, resident
from tests.ui.server.serving import Server

KEPT = 300_000_000
"""Bytes for all sessions that are remembered, and for what functions load when they are first called."""


WRONG = (None, {"a": ["b"]}, -1, 10**18, "\x00" + "../" * 2000)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_wrong_types_are_told_in_one_line_by_every_function(attacked: Server, client: httpx.Client) -> None:
    """Each argument in turn, the others as they are by default; a value that fits is answered."""
    functions = client.get("/gradio_api/info").json()["named_endpoints"]
    memory = resident(attacked)
    for path, told in functions.items():
        usual = [each.get("parameter_default") for each in told["parameters"]]
        for place in range(len(usual)):
            for value in WRONG:
                given = [*usual[:place], value, *usual[place + 1 :]]
                event, data = called(client, path[1:], *given)
                if event == "error":
                    said = data["error"]
                    assert isinstance(said, str) and "\n" not in said, (path, given)
                    assert 0 < len(said) <= 1000, (path, given)
        for given in ([], [None] * 50):
            if called(client, path[1:], *given)[0] == "error":
                refused(client, path[1:], *given)
    assert resident(attacked) - memory < KEPT
    with Registry(attacked.home) as registry:
        assert {job.kind for job in registry.jobs.list("queued")} <= {"retrain_router"}
