"""`Registry.transaction`: what one thread writes in it is done whole or not at all."""

import threading

import pytest

from registry import ConflictError, Registry
from registry.errors import FencedError
from registry.owners import Owner
from tests.registry.queueing import HOUR, PAST, claimed
from tests.registry.samples import add_expert, add_generation
from tests.stress.forks import killed_at


def facts(registry: Registry) -> dict[str, object]:
    """All that is on record but jobs."""
    return {
        "tasks": registry.tasks(),
        "datasets": [registry.datasets(task.name) for task in registry.tasks()],
        "base models": registry.base_models(),
        "experts": registry.experts(all_versions=True),
        "generations": registry.generations(),
        "aliases": registry.aliases(),
        "history": [registry.history(alias.ref) for alias in registry.aliases()],
    }


def publish(registry: Registry, number: int = 5) -> None:
    """An expert of a new task and a generation with it, in production."""
    add_expert(registry, "mood", number=number)
    add_generation(registry, "sst2", "mood", number=number)
    registry.promote("router")


def test_all_of_it_is_there_afterwards(filled: Registry) -> None:
    with filled.transaction():
        publish(filled)
        inside = facts(filled)
    assert facts(filled) == inside
    assert filled.generation().name == "router@3"
    assert [expert.name for expert in filled.experts()] == ["mood@1", "sst2@2", "trec@1"]
    assert filled.verify() == []


def test_an_error_undoes_all_of_it(filled: Registry) -> None:
    before = facts(filled)
    with pytest.raises(ConflictError, match="Task 'mood' is of kind classification"), filled.transaction():
        publish(filled)
        filled.add_dataset(
            task="mood",
            kind="regression",
            labels=(),
            content=b"rows",
            rows={"train": 1},
            columns={},
            source="",
            findings=(),
        )
    assert facts(filled) == before
    assert filled.verify() == []
    publish(filled)
    assert filled.expert("mood").version == 1, "numbers are not used up by what was undone"


def test_a_transaction_inside_another_is_part_of_it(filled: Registry) -> None:
    before = facts(filled)
    with pytest.raises(KeyError), filled.transaction():
        with filled.transaction():
            publish(filled)
        assert filled.generation().name == "router@3"
        raise KeyError
    assert facts(filled) == before


def test_others_see_nothing_of_it_before_its_end_and_wait_to_write(filled: Registry) -> None:
    before, seen = facts(filled), []
    written = threading.Event()

    def look_and_write() -> None:
        with Registry(filled.home) as other:
            seen.append(facts(other))
        seen.append(facts(filled))
        filled.promote("router@1", alias="candidate")
        written.set()

    thread = threading.Thread(target=look_and_write)
    with filled.transaction():
        publish(filled)
        thread.start()
        assert not written.wait(0.3)
    thread.join()
    assert seen == [before, before]
    assert {alias.ref: alias.target for alias in filled.aliases()} == {
        "router@candidate": "router@1",
        "router@production": "router@3",
        "sst2@stable": "sst2@1",
    }


def test_a_result_and_the_end_of_its_job_are_one(registry: Registry, owner: Owner) -> None:
    registry.jobs.enqueue("test", {})
    claim = claimed(registry, owner)
    with registry.transaction():
        expert = add_expert(registry)
        registry.jobs.finish(claim, {"expert": expert.name})
    assert registry.experts() == [expert]
    assert (registry.jobs.get(1).state, registry.jobs.get(1).result) == ("done", {"expert": "sst2@1"})


def test_a_worker_that_lost_its_job_publishes_nothing(registry: Registry, owner: Owner, other: Owner) -> None:
    registry.jobs.enqueue("test", {})
    zombie = claimed(registry, owner, PAST)
    heir = claimed(registry, other, HOUR)
    before = facts(registry)
    with pytest.raises(FencedError), registry.transaction():
        add_expert(registry, number=1)
        registry.jobs.finish(zombie, {"expert": "sst2@1"})
    assert facts(registry) == before
    assert registry.jobs.get(1).result is None
    with registry.transaction():
        made = add_expert(registry, number=2)
        registry.jobs.finish(heir, {"expert": made.name})
    with pytest.raises(FencedError), registry.transaction():
        add_expert(registry, number=3)
        registry.jobs.finish(zombie, {"expert": "sst2@2"})
    assert registry.experts(all_versions=True) == [made]


def test_a_worker_whose_job_was_cancelled_while_it_slept_publishes_nothing(
    registry: Registry, owner: Owner
) -> None:
    registry.jobs.enqueue("test", {})
    claim = claimed(registry, owner, PAST)
    registry.jobs.cancel(1)
    registry.jobs.recover()
    with pytest.raises(FencedError), registry.transaction():
        add_expert(registry)
        registry.jobs.finish(claim, {"expert": "sst2@1"})
    assert registry.experts() == []
    assert registry.jobs.get(1).state == "cancelled"


@pytest.mark.parametrize("point", ["row.committed", "finish.begun", "finish.updated"])
def test_a_kill_before_the_end_leaves_neither_the_result_nor_the_end(registry: Registry, point: str) -> None:
    registry.jobs.enqueue("test", {})
    before = facts(registry)

    def work() -> None:
        with Registry(registry.home) as mine:
            claim = claimed(mine, mine.jobs.owner())
            with mine.transaction():
                mine.jobs.finish(claim, {"expert": add_expert(mine).name})

    assert killed_at(point, work)
    assert facts(registry) == before
    assert registry.jobs.get(1).state == "running"
    registry.jobs.recover()
    assert registry.jobs.get(1).state == "needs_recovery"
    assert registry.verify() == []
