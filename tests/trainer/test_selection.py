"""Which experts the next fit takes when some are retired."""

import pytest

from registry import NotFoundError, Registry
from tests.registry.samples import add_expert
from trainer.selection import choose


def chosen(registry: Registry, *names: str) -> tuple[list[str], list[str]]:
    choice = choose(registry, names or None)
    return [one.name for one in choice.experts], [one.name for one in choice.left_out]


@pytest.fixture
def grown(registry: Registry) -> Registry:
    for number in (1, 2, 3):
        add_expert(registry, "sst2", rows=number, number=number)
    add_expert(registry, "trec", number=9)
    return registry


def test_a_retired_version_gives_way_to_the_newest_that_is_wanted(grown: Registry) -> None:
    assert chosen(grown) == (["sst2@3", "trec@1"], [])
    grown.retirements.retire("sst2@3")
    assert chosen(grown) == (["sst2@2", "trec@1"], ["sst2@3"])
    grown.retirements.retire("sst2@1")
    grown.retirements.retire("sst2@2")
    assert chosen(grown) == (["trec@1"], ["sst2@3"])
    add_expert(grown, "sst2", rows=4, number=4)
    assert chosen(grown) == (["sst2@4", "trec@1"], [])


def test_a_retired_task_stays_out_with_later_versions_too(grown: Registry) -> None:
    grown.retirements.retire("sst2")
    add_expert(grown, "sst2", rows=4, number=4)
    assert chosen(grown) == (["trec@1"], ["sst2@4"])
    grown.retirements.undo("sst2")
    assert chosen(grown) == (["sst2@4", "trec@1"], [])


def test_who_is_named_is_taken(grown: Registry) -> None:
    grown.retirements.retire("sst2")
    assert chosen(grown, "trec", "sst2@1") == (["trec@1", "sst2@1"], [])


def test_when_all_are_retired_there_is_nothing_to_fit(grown: Registry) -> None:
    for task in ("sst2", "trec"):
        grown.retirements.retire(task)
    with pytest.raises(NotFoundError, match="every expert is retired: take one back with"):
        choose(grown, None)
