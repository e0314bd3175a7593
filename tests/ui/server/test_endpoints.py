"""The named endpoints of the tabs that look at what there is: over plain HTTP, against a real server."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from registry import Registry
from tests.ui.commands import Trained
from tests.ui.server.serving import Server, serving


@pytest.fixture(scope="module")
def looked_at(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("looked-at") / "home"
    shutil.copytree(trained.home, home)
    with serving(home, "--no-worker") as running:
        yield running


def asked(server: Server, name: str, *given: Any) -> tuple[str, Any]:
    """How an endpoint answered: `complete` or `error`, and what."""
    with server.client() as client:
        begun = client.post(f"/gradio_api/call/{name}", json={"data": list(given)})
        assert begun.status_code == 200, begun.text
        told = client.get(f"/gradio_api/call/{name}/{begun.json()['event_id']}").text
    event, data = (line.partition(": ")[2] for line in told.strip().splitlines()[-2:])
    return event, json.loads(data)


def answer(server: Server, name: str, *given: Any) -> Any:
    event, data = asked(server, name, *given)
    assert event == "complete", data
    return data[0]


def test_what_is_listed_is_what_the_registry_holds(looked_at: Server) -> None:
    with Registry(looked_at.home) as registry:
        experts = [expert.name for expert in registry.experts()]
        generations = [generation.name for generation in registry.generations()]
        root = registry.generation().root
    assert [one["name"] for one in answer(looked_at, "list_experts", "", False)["experts"]] == experts
    assert [one["name"] for one in answer(looked_at, "list_generations")["generations"]] == generations
    assert answer(looked_at, "show_generation", None)["root"] == root
    assert answer(looked_at, "check_digests", None)["identical"] == len(experts)
    assert answer(looked_at, "show_expert", "mood")["name"] == "mood@1"
    assert answer(looked_at, "show_data", "mood", None)["name"] == "mood/data@1"
    assert answer(looked_at, "show_lineage", "router")["root"] == "router@1"
    assert answer(looked_at, "list_events", [], "", "", "", 1)["total"] > len(experts)


def test_what_stands_last_in_a_call_may_be_left_out(looked_at: Server) -> None:
    alone = answer(looked_at, "predict", "The film was lovely.")
    assert alone == answer(looked_at, "predict", "The film was lovely.", None, None, None)
    assert alone == answer(looked_at, "predict", "The film was lovely.", *[None] * 9)
    event, said = asked(looked_at, "predict", "The film was lovely.", *[None] * 5, -1.0)
    assert (event, said["error"]) == ("error", "Temperature -1 must be from 0 to 10.")


def test_what_the_router_does_is_told(looked_at: Server) -> None:
    mixed = answer(looked_at, "show_confusion", None)
    assert sum(map(sum, mixed["rows"])) == answer(looked_at, "show_calibration", None)["rows"]
    for pair in mixed["pairs"]:
        found = answer(looked_at, "list_mistakes", "router@1", pair["task"], pair["sent"])
        assert len(found["mistakes"]) == pair["rows"]
    matrix = answer(looked_at, "show_matrix", None, "routed_accuracy", "", 0, 40, 30)
    assert (matrix["generations"], matrix["tasks"]) == ([1], ["mood", "topic"])


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("show_expert", ["nothing"], "There is no task 'nothing'."),
        ("show_expert", ["../../etc/passwd"], "There is no task '../../etc/passwd'."),
        ("show_expert", [["mood"]], "name: Input should be a valid string"),
        ("show_data", ["mood", "one"], "version: Input should be a valid integer"),
        ("list_events", [["alias", 5], "", "", "", 1], "kinds: Input should be a valid string"),
        ("list_events", [["nonsense"], "", "", "", 1], "There is no kind of event 'nonsense'."),
        ("show_lineage", ["router@99"], "There is no generation 'router@99'"),
        ("list_mistakes", ["router@1", "nothing", None], "There is no task of router@1 'nothing'."),
        ("promote_generation", ["router@99", ""], "There is no generation 'router@99'"),
        ("fit_router", ["perhaps"], "promote: Input should be 'gate', 'yes' or 'no'"),
        ("fit_router", ["gate", "auto", 2], "coverage 2 must be above 0 and at most 1"),
        ("fit_router", ["gate", "auto", 0.9, 101], "tolerance 101 must be from 0 to 100"),
        ("fit_router", ["gate", "oracle"], "unknown router kind 'oracle'"),
        ("fit_router", ["gate", "auto", 0.9, 1, "x"], "seed: Input should be a valid integer"),
        ("fit_router", ["gate", "auto", 0.9, 1, 0, False, ["nobody"]], "There is no task 'nobody'"),
        ("show_matrix", [None, "guesses", "", 0, 40, 30], "Accuracy 'guesses' is unknown"),
        ("show_matrix", [None, "routed_accuracy", "", -1, 40, 30], "Offset -1 does not fit"),
        ("evaluate_expert", ["mood", "train"], "Split 'train' is not held out"),
    ],
)
def test_what_cannot_be_answered_is_told_in_one_line(
    looked_at: Server, name: str, given: list[Any], said: str
) -> None:
    event, data = asked(looked_at, name, *given)
    assert event == "error"
    assert said.lower() in str(data).lower(), data
    assert "Traceback" not in str(data)


def test_changes_are_made_and_on_record(looked_at: Server) -> None:
    assert answer(looked_at, "promote_expert", "mood", "stable", "good enough") == (
        "mood@stable now stands for mood@1."
    )
    assert answer(looked_at, "promote_generation", "router@1", "again").startswith("router@production now")
    event, data = asked(looked_at, "roll_back_production", "")
    assert (event, "has no earlier target" in str(data)) == ("error", True)
    assert answer(looked_at, "retire", "mood@1", "worn out", False) == "mood@1 is retired."
    [mood] = answer(looked_at, "list_experts", "mood", False)["experts"]
    assert mood["retired"]["reason"] == "worn out"
    assert answer(looked_at, "retire", "mood@1", "wanted again", True) == "mood@1 is retired no more."
    assert "measures mood@1 on its validation rows" in answer(
        looked_at, "evaluate_expert", "mood", "validation"
    )
    fit = answer(looked_at, "fit_router", "gate", "auto", 0.98, 1, 5, True, ["topic@1"])
    assert "fits the next generation" in fit
    with Registry(looked_at.home) as registry:
        assert [event.reason for event in registry.history("mood@stable")] == ["good enough"]
        queued = registry.jobs.list("queued")
    wanted = {name: queued[0].params[name] for name in ("seed", "passes", "experts")}
    assert wanted == {"seed": 5, "passes": "two", "experts": ["topic@1"]}
    assert [(job.kind, job.params.get("ref"), job.params.get("promote")) for job in queued] == [
        ("retrain_router", None, None),
        ("evaluate", "mood@1", None),
    ]


def test_nobody_reads_or_changes_anything_without_log_in(team_server: Server, stranger: httpx.Client) -> None:
    for name in ("list_experts", "promote_generation", "fit_router"):
        answered = stranger.post(f"/gradio_api/call/{name}", json={"data": []})
        assert answered.status_code == 401


def test_the_picture_of_a_lineage_is_served_by_itself(looked_at: Server) -> None:
    with looked_at.client() as client:
        found = client.get("/lineage/mood@1.svg")
        missing = client.get("/lineage/nothing.svg")
    assert (found.status_code, found.headers["content-type"]) == (200, "image/svg+xml")
    assert b'href="/?tab=router&amp;name=router@1"' in found.content
    assert missing.status_code == 404


def test_pages_hold_no_path_of_the_server(looked_at: Server) -> None:
    whole = json.dumps(answer(looked_at, "show_expert", "mood"))
    assert str(Path(looked_at.home)) not in whole
