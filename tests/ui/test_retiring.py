"""`registry retire`, and how the lists and the next fit take it."""

import pytest

from tests.ui.commands import TIME, Command, assert_refused, assert_shape


def test_a_task_is_retired_left_out_and_taken_back(registry_command: Command) -> None:
    event = {"subject": "topic", "retired": True, "reason": "old", "actor": str, "created_at": TIME}
    retired = registry_command("retire", "topic", "--reason", "old", "--json").json
    assert_shape(retired, event)
    assert registry_command("retire", "topic", "--reason", "again", "--json").json == retired
    listed = registry_command("experts", "--json").json
    assert [one["retired"] for one in listed] == [None, retired]
    assert [one["retired"] for one in registry_command("tasks", "--json").json] == [None, retired]
    assert registry_command("show", "topic@1", "--json").json["retired"] == retired
    [line] = [one for one in registry_command("experts").out.splitlines() if one.startswith("topic@1")]
    assert line.endswith(f"{retired['created_at'][:10]} with its task: old")
    assert ", retired" in registry_command("lineage", "router@1").out

    fitted = registry_command("retrain-router", "--router", "closed_form", "--device", "cpu")
    assert "  left out    topic@1, since retired\n" in fitted.out
    made = registry_command("show", "router@2", "--json").json
    assert made["experts"] == ["mood@1"]
    # Given up on purpose, the task is no loss that keeps the generation out of production.
    assert (made["gate"]["passed"], [one["task"] for one in made["gate"]["tasks"]]) == (True, ["mood"])
    assert registry_command("predict", "Where is the soup?", "--router", "router@1").code == 0
    assert registry_command("show", "router@1", "--json").json["experts"] == ["mood@1", "topic@1"]

    assert registry_command("retire", "topic", "--undo").out == "topic is retired no more.\n"
    assert registry_command("tasks", "--json").json[1]["retired"] is None
    again = registry_command("retrain-router", "--router", "closed_form", "--device", "cpu", "--json").json
    assert (again["experts"], again["left_out"]) == (["mood@1", "topic@1"], [])


def test_named_experts_are_taken_retired_or_not(registry_command: Command) -> None:
    registry_command("retire", "mood@1")
    registry_command("retire", "topic")
    assert_refused(
        registry_command("retrain-router"), 3, "every expert is retired", "registry retire NAME --undo"
    )
    named = (
        "--expert",
        "mood@1",
        "--expert",
        "topic@1",
        "--router",
        "closed_form",
        "--device",
        "cpu",
        "--json",
    )
    assert registry_command("retrain-router", *named).json["experts"] == ["mood@1", "topic@1"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("retire", "mod"), 3, "Did you mean 'mood'?"),
        (("retire", "router@1"), 3, "is a generation of the router"),
        (("retire",), 2, "NAME"),
    ],
)
def test_what_cannot_be_retired_is_refused(
    registry_command: Command, arguments: tuple[str, ...], code: int, words: str
) -> None:
    assert_refused(registry_command(*arguments), code, words)


def test_taking_back_what_is_not_retired_says_so(registry_command: Command) -> None:
    assert registry_command("retire", "mood", "--undo").out == "mood is not retired.\n"
    assert registry_command("retire", "mood", "--undo", "--json").json["retired"] is False
    registry_command("retire", "mood")
    refused = registry_command("retire", "mood@1", "--undo")
    assert_refused(refused, 4, "mood@1 is retired with its task", "registry retire mood --undo")
