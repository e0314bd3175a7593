"""The checker of histories finds each way of going wrong, and nothing in a history that is right."""

import pytest

from tests.stress.histories import Operation, wrong


def add(key: str, asked: float, answered: float | None, version: int | None = None) -> Operation:
    return Operation("sst2", key, False, asked, answered, version)


def read(key: str | None, asked: float, answered: float | None) -> Operation:
    return Operation("sst2", key, True, asked, answered)


RIGHT = [
    read(None, 0, 0.5),
    add("a", 1, 3, 1),
    read("a", 2, 4),  # Before the add was answered: it may be seen, or not.
    read(None, 2, 2.5),
    add("b", 5, None),  # Killed: it may be there, or not.
    add("c", 6, 8, 3),
    read("b", 6, 7),
    read("c", 9, 10),
    read(None, 11, None),
]


def test_a_history_in_which_one_was_killed_is_right() -> None:
    assert +wrong(RIGHT, {"sst2": ["a", "b", "c"]}) == {}


def test_what_a_killed_client_asked_for_need_not_be_there() -> None:
    kept = [operation for operation in RIGHT if operation.key != "b"]
    history = [*kept[:4], add("b", 5, None), add("c", 6, 8, 2)]
    assert +wrong(history, {"sst2": ["a", "c"]}) == {}


@pytest.mark.parametrize(
    ("history", "final", "found"),
    [
        ([add("a", 1, 2, 1)], [], {"lost": 1}),
        ([add("a", 1, 2, 1), add("b", 1, 2, 1)], ["a", "b"], {"renumbered": 1}),
        ([add("a", 1, 2, 1)], ["a", "a"], {"twice": 1, "renumbered": 1}),
        ([], ["a"], {"from_nowhere": 1}),
        ([add("a", 1, None), read("a", 1, 2)], [], {"read_but_gone": 1}),
        ([add("a", 1, 2, 1), read(None, 3, 4)], ["a"], {"gone_back": 1}),
        ([add("a", 1, None), read("a", 2, 3), read(None, 4, 5)], ["a"], {"gone_back": 1}),
        ([add("b", 1, 2, 2), add("a", 3, 4, 1)], ["a", "b"], {"gone_back": 1}),
    ],
)
def test_each_way_of_going_wrong_is_found(
    history: list[Operation], final: list[str], found: dict[str, int]
) -> None:
    assert +wrong(history, {"sst2": final}) == found
