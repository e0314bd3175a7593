"""Many at once: none is lost, none is refused, every number is used once. Larger crowds: `tests/stress`."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from registry import Registry
from tests.registry.samples import add_expert, add_generation


def test_threads_share_one_handle(registry: Registry) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: add_expert(registry, number=number), range(40)))
    assert sorted(expert.version for expert in made) == list(range(1, 41))
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda n: add_generation(registry, "sst2", number=n).number, range(20)))
    assert sorted(numbers) == list(range(1, 21))
    assert registry.verify() == []


def test_threads_that_open_a_new_home_at_once_all_succeed(tmp_path: Path) -> None:
    for round in range(3):
        home = tmp_path / str(round)
        with ThreadPoolExecutor(8) as pool:
            opened = list(pool.map(lambda _, home=home: Registry(home), range(8)))
        assert [registry.verify() for registry in opened] == [[]] * 8


def test_readers_are_not_refused_while_others_write(registry: Registry) -> None:
    add_expert(registry)

    def read(_: int) -> int:
        with Registry(registry.home) as other:
            return len(other.experts(all_versions=True))

    with ThreadPoolExecutor(6) as pool:
        writes = [pool.submit(add_expert, registry, number=number) for number in range(20)]
        seen = list(pool.map(read, range(60)))
    assert all(write.result() for write in writes)
    assert set(seen) <= set(range(1, 22))
