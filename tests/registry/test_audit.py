"""The audit list: every kind of event, its filters, its pages."""

import pytest

from registry import Registry, audit
from registry.audit import Wanted
from registry.errors import InvalidSettingError


def told(registry: Registry, wanted: Wanted) -> list[tuple[str, str, str]]:
    return [(one.kind, one.subject, one.what) for one in audit.events(registry, wanted)[0]]


def test_every_kind_of_event_is_told_newest_first(filled: Registry) -> None:
    filled.jobs.enqueue("evaluate", {"ref": "sst2@1"}, task="sst2")
    cancelled = filled.jobs.enqueue("retrain_router", {"actor": "ann"})
    filled.retirements.retire("trec")
    filled.jobs.cancel(cancelled.id)
    events, total = audit.events(filled)
    assert total == len(events)
    assert {one.kind for one in events} == set(audit.KINDS)
    assert [one.at for one in events] == sorted((one.at for one in events), reverse=True)
    assert told(filled, Wanted(kinds=("job", "job ended"))) == [
        ("job ended", "job 2", "retrain_router cancelled in attempt 0"),
        ("job", "job 2", "retrain_router asked for"),
        ("job", "job 1", "evaluate asked for sst2"),
    ]
    assert [one.actor for one in audit.events(filled, Wanted(kinds=("job",)))[0]] == ["ann", None]


def test_what_is_told_of_things_that_were_frozen(filled: Registry) -> None:
    first = filled.expert("sst2@1")
    assert told(filled, Wanted(kinds=("expert",), subject="sst2@1")) == [
        (
            "expert",
            "sst2@1",
            f"frozen: tt_lora, 10 parameters, digest {first.sha256[:12]}, from data@1 by run 1",
        )
    ]
    generation = filled.generation("router@1")
    assert told(filled, Wanted(kinds=("generation",)))[-1] == (
        "generation",
        "router@1",
        f"frozen: closed_form, root {generation.root[:12]}, by run 2",
    )
    assert told(filled, Wanted(kinds=("dataset",), subject="trec/")) == [
        (
            "dataset",
            "trec/data@1",
            f"stored from trec.csv, digest {filled.dataset('trec').sha256[:12]}",
        )
    ]
    assert told(filled, Wanted(kinds=("run",)))[0] == ("run", "run 1", "expert run ended: seed 7, 1.5 s")


def test_moves_of_aliases_tell_from_where_to_where_and_why(registry: Registry, filled: Registry) -> None:
    filled.promote("router@1", reason="100% sure_", actor="Ann")
    filled.alias("sst2@stable", None)
    assert told(filled, Wanted(kinds=("alias",))) == [
        ("alias", "sst2@stable", "remove: from sst2@1 to nothing"),
        ("alias", "router@production", "promote: from router@2 to router@1: 100% sure_"),
        ("alias", "sst2@stable", "promote: from nothing to sst2@1"),
        ("alias", "router@production", "promote: from nothing to router@2"),
    ]


@pytest.mark.parametrize(
    ("wanted", "subjects"),
    [
        (Wanted(kinds=("alias",), actor="ann"), ["router@production"]),
        (Wanted(text="100% SURE_"), ["router@production"]),
        (Wanted(text="100_"), []),
        (Wanted(subject="trec", kinds=("expert", "dataset")), ["trec@1", "trec/data@1"]),
        (Wanted(text="%"), ["router@production"]),
        (Wanted(text="trec/DATA@1"), ["trec/data@1"]),
        (Wanted(subject="c/d", text="stored", actor="Ann"), []),
    ],
)
def test_filters_take_what_is_given_as_text(filled: Registry, wanted: Wanted, subjects: list[str]) -> None:
    filled.promote("router@1", reason="100% sure_", actor="Ann")
    assert [one.subject for one in audit.events(filled, wanted)[0]] == subjects


def test_pages_do_not_overlap_and_know_of_all(filled: Registry) -> None:
    everything, total = audit.events(filled)
    pages = [audit.events(filled, limit=4, offset=start) for start in range(0, total, 4)]
    assert [one for page, _ in pages for one in page] == everything
    assert {count for _, count in pages} == {total}


def test_an_unknown_kind_is_refused(registry: Registry) -> None:
    with pytest.raises(InvalidSettingError, match=r"There is no kind of event 'x'\. Kinds: alias, "):
        audit.events(registry, Wanted(kinds=("x",)))
