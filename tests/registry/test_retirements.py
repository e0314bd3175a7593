"""What is retired stays as it is and says so; the latest event about it holds."""

import pytest

from registry import ConflictError, NotFoundError, Registry, audit
from registry.audit import Wanted


def test_an_expert_is_retired_and_taken_back_and_every_event_stays(filled: Registry) -> None:
    before = filled.expert("sst2@1")
    first = filled.retirements.retire("sst2@stable", reason="bad rows", actor="ada")
    assert (first.subject, first.retired, first.reason, first.actor) == ("sst2@1", True, "bad rows", "ada")
    assert filled.retirements.of("sst2@1") == first
    assert filled.retirements.of("sst2@2") is None
    back = filled.retirements.undo("sst2@1", actor="bob")
    assert back is not None
    assert (back.retired, back.actor) == (False, "bob")
    assert filled.retirements.of("sst2@1") is None
    assert filled.retirements.history("sst2@1") == [back, first]
    assert filled.expert("sst2@1") == before
    assert filled.verify() == []


def test_a_task_is_retired_with_all_its_experts(filled: Registry) -> None:
    event = filled.retirements.retire("sst2")
    assert filled.retirements.of("sst2") == event
    assert filled.retirements.of("sst2@2") == event
    assert filled.retirements.of("trec") is None
    assert list(filled.retirements.now().by_name) == ["sst2"]
    with pytest.raises(ConflictError, match=r"sst2@2 is retired with its task\. .* retire sst2 --undo"):
        filled.retirements.undo("sst2@2")
    filled.retirements.undo("sst2")
    assert filled.retirements.of("sst2@2") is None


def test_an_expert_retired_by_itself_stays_so_when_its_task_is_taken_back(filled: Registry) -> None:
    own = filled.retirements.retire("sst2@2")
    filled.retirements.retire("sst2")
    assert filled.retirements.of("sst2@2") == own
    filled.retirements.undo("sst2")
    assert filled.retirements.of("sst2@2") == own
    assert filled.retirements.of("sst2") is None


def test_what_is_so_already_is_no_event(filled: Registry) -> None:
    first = filled.retirements.retire("trec", reason="old")
    assert filled.retirements.retire("trec", reason="older") == first
    assert filled.retirements.undo("sst2") is None
    assert filled.retirements.history("sst2") == []
    assert filled.retirements.history("trec") == [first]


@pytest.mark.parametrize("ref", ["sst3", "sst2@9", "router", "router@1", "sst2@x@y", ""])
def test_only_tasks_and_experts_can_be_retired(filled: Registry, ref: str) -> None:
    for ask in (filled.retirements.retire, filled.retirements.undo, filled.retirements.of):
        with pytest.raises(NotFoundError):
            ask(ref)
    assert filled.retirements.now().by_name == {}


def test_the_audit_and_the_lineage_tell_of_it(filled: Registry) -> None:
    filled.retirements.retire("sst2@2", reason="50% of <b>", actor="ada")
    filled.retirements.retire("trec")
    filled.retirements.undo("trec", reason="wanted")
    events, _ = audit.events(filled, Wanted(kinds=("retirement",)))
    assert [(one.subject, one.what) for one in events] == [
        ("trec", "retired no more: wanted"),
        ("trec", "retired"),
        ("sst2@2", "retired: 50% of <b>"),
    ]
    assert events[-1].actor == "ada"
    notes = {node.id: node.note for node in filled.lineage("router@2").nodes}
    assert notes["sst2@2"].endswith(", retired")
    assert not notes["trec@1"].endswith(", retired")
