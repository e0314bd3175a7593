"""Names that move, and the history that they leave."""

from datetime import datetime, timedelta

import pytest

from registry import Registry
from registry.errors import ConflictError, InvalidSettingError, NotFoundError
from registry.promotion import stretches
from tests.registry.samples import add_expert, add_generation


@pytest.fixture
def three(registry: Registry) -> Registry:
    """Three generations of one expert."""
    add_expert(registry)
    for number in range(3):
        add_generation(registry, "sst2", number=number)
    return registry


def moves(registry: Registry, alias: str) -> list[tuple[str, str | None, str | None]]:
    return [(event.action, event.previous, event.target) for event in registry.history(alias)]


def test_every_move_is_recorded_newest_first(three: Registry) -> None:
    three.promote("router@1", reason="first", actor="ann")
    three.promote("router")
    event = three.history()[-1]
    assert (event.alias, event.reason, event.actor) == ("router@production", "first", "ann")
    assert moves(three, "production") == [
        ("promote", "router@1", "router@3"),
        ("promote", None, "router@1"),
    ]


def test_a_move_carries_the_verdict_of_the_gate_and_by_default_the_user(
    three: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ben")
    three.promote("router@1", gate={"passed": True, "against": None})
    three.promote("router@2", actor="ann")
    three.rollback()
    assert [(event.actor, event.gate) for event in three.history()] == [
        ("ben", None),
        ("ann", None),
        ("ben", {"passed": True, "against": None}),
    ]


def test_what_an_alias_stood_for_is_known_for_every_moment(three: Registry) -> None:
    three.promote("router@1")
    three.promote("router@2")
    three.alias("production", None)
    three.promote("router@3")
    events = three.history()
    made, tried, away, back = (event.created_at for event in reversed(events))
    tick = timedelta(microseconds=1)

    def stood(start: datetime, end: datetime | None = None) -> list[str]:
        return [one.target for one in stretches(events, start, end or start)]

    assert stood(made - tick) == []
    assert stood(made) == stood(tried - tick) == ["router@1"]
    assert stood(tried) == stood(away - tick) == ["router@2"]
    assert stood(away) == stood(back - tick) == []
    assert stood(back) == stood(back + timedelta(days=1000)) == ["router@3"]
    assert stood(made - tick, made) == []
    assert stood(made - tick, made + tick) == ["router@1"]
    assert stood(made, back) == ["router@1", "router@2"]
    assert stood(made - tick, back + tick) == ["router@1", "router@2", "router@3"]
    first, *_, last = stretches(events, made, back + tick)
    assert (first.alias, first.begun, first.ended) == ("router@production", events[3], events[2])
    assert (last.begun, last.ended) == (events[0], None)


def test_promoting_what_is_promoted_is_no_move(three: Registry) -> None:
    first = three.promote("router@2")
    assert three.promote("router@2") == first
    assert len(three.history("production")) == 1


def test_rollback_goes_back_one_step_each_time(three: Registry) -> None:
    for number in (1, 2, 3):
        three.promote(f"router@{number}")
    assert three.rollback().target == "router@2"
    assert three.rollback().target == "router@1"
    with pytest.raises(NotFoundError, match="router@production has no earlier target"):
        three.rollback()
    assert three.promote("router@3").target == "router@3"
    assert three.rollback().target == "router@1"
    assert moves(three, "production")[0] == ("rollback", "router@3", "router@1")


def test_an_alias_that_is_taken_away_keeps_its_history(three: Registry) -> None:
    three.alias("candidate", "router@2")
    assert three.alias("candidate", None, reason="done") is None
    assert three.aliases() == []
    assert moves(three, "router@candidate") == [
        ("remove", "router@2", None),
        ("promote", None, "router@2"),
    ]
    with pytest.raises(NotFoundError, match="There is no alias 'router@candidate'"):
        three.rollback("candidate")
    with pytest.raises(NotFoundError):
        three.alias("candidate", None)


def test_an_experts_alias_belongs_to_its_task(registry: Registry) -> None:
    add_expert(registry, "a")
    add_expert(registry, "a", number=1)
    add_expert(registry, "b", number=2)
    assert registry.promote("a@1", alias="stable").ref == "a@stable"
    assert registry.promote("b", alias="b@stable").target == "b@1"
    assert [(alias.ref, alias.target) for alias in registry.aliases()] == [
        ("a@stable", "a@1"),
        ("b@stable", "b@1"),
    ]
    assert registry.expert("a@stable").version == 1
    registry.promote("a", alias="stable")
    assert registry.expert("a@stable").version == 2
    assert registry.rollback("a@stable").target == "a@1"
    with pytest.raises(ConflictError, match="'b@stable' cannot stand for a@2; use 'a@stable'"):
        registry.promote("a", alias="b@stable")
    with pytest.raises(NotFoundError, match="There is no task 'c'"):
        registry.history("c@stable")


@pytest.mark.parametrize("name", ["", "3", "Prod", "a b", "router@", "-x", "x" * 65])
def test_an_alias_cannot_read_as_something_else(three: Registry, name: str) -> None:
    with pytest.raises(InvalidSettingError, match="An alias cannot be named"):
        three.promote("router@1", alias=name)
    assert three.aliases() == []
