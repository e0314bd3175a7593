"""Checks what clients saw of a registry against what it holds in the end, in the manner of Jepsen.

A subject (a task's experts, the router's generations, the moves of `production`) is a list that only grows.
An operation adds a key to it or reads its last key; its client knows when it asked, and, unless it was killed
in between, when it had the answer.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operation:
    """What one client asked and was told; times are of one clock that all clients share."""

    subject: str
    key: str | None
    """What was added, or what was read; `None` for a read that had no answer, or found nothing."""
    reads: bool
    asked: float
    answered: float | None
    version: int | None = None
    """The version that an add was told, counted from 1."""


KINDS = ("lost", "renumbered", "twice", "from_nowhere", "read_but_gone", "gone_back")


def wrong(operations: Sequence[Operation], final: Mapping[str, Sequence[str]]) -> Counter[str]:
    """Counts what must not be, by kind; `final` is every subject's list in the end.

    - `lost`: added, said to be done, and not there.
    - `renumbered`: there under another version than was said.
    - `twice`: there more than once.
    - `from_nowhere`: there, though nobody asked to add it.
    - `read_but_gone`: read at some time, and not there.
    - `gone_back`: an answer older than one that somebody had before this was asked.
    """
    found = Counter(dict.fromkeys(KINDS, 0))
    for subject in {operation.subject for operation in operations} | set(final):
        keys = final.get(subject, ())
        places = {key: place for place, key in enumerate(keys)}
        mine = [operation for operation in operations if operation.subject == subject]
        asked = {operation.key for operation in mine if not operation.reads}
        found["twice"] += len(keys) - len(places)
        found["from_nowhere"] += sum(key not in asked for key in places)
        answered = [operation for operation in mine if operation.answered is not None]
        for operation in answered:
            if operation.key is not None and operation.key not in places:
                found["read_but_gone" if operation.reads else "lost"] += 1
            elif operation.version is not None and operation.version != places[str(operation.key)] + 1:
                found["renumbered"] += 1
        found["gone_back"] += _gone_back(answered, places)
    return found


def _gone_back(answered: Iterable[Operation], places: Mapping[str, int]) -> int:
    """Answers that are behind one that was known before they were asked for."""
    timed = [
        (operation.asked, operation.answered or 0.0, places.get(operation.key or "", -1), operation.reads)
        for operation in answered
        if operation.key is None or operation.key in places
    ]
    known = sorted((then, place) for _, then, place, _ in timed)
    count, newest, following = 0, -1, 0
    for asked, _, place, reads in sorted(timed):
        while following < len(known) and known[following][0] < asked:
            newest = max(newest, known[following][1])
            following += 1
        # A read may give what was known; what is added comes after it.
        count += place < newest if reads else place <= newest
    return count
