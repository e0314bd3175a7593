"""A registry under random work, beside a model of it made of lists and dicts.

Hypothesis looks for a difference. Two handles of this process, and now and then another process, do the work;
some of it is killed half way.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from registry import NotFoundError, Registry
from registry.faults import fault
from registry.fsck import examine
from registry.garbage import collect
from tests.registry.samples import add_expert, add_generation
from tests.stress.forks import killed_at, start
from tests.stress.kills.publishing import COLLECT, PROMOTE, PUBLISH, blobs

HANDLES = st.integers(0, 1)
TASKS = st.sampled_from(("one", "two", "three"))
NUMBERS = st.integers(0, 9)
ALIASES = st.sampled_from(("production", "candidate"))


class States(RuleBasedStateMachine):
    """The machine; a subclass says in which folder, which holds an empty home `empty`."""

    folder: ClassVar[Path]
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(dir=self.folder)) / "home"
        shutil.copytree(self.folder / "empty", self.home)
        self.handles = [Registry(self.home), Registry(self.home)]
        self.experts: dict[str, list[int]] = {}
        self.generations: list[tuple[str, ...]] = []
        self.trails: dict[str, list[str]] = {}
        """What each alias stood for, oldest first; what was rolled back is gone."""
        self.moves: dict[str, list[tuple[str, str | None]]] = {}

    def teardown(self) -> None:
        assert self.handles[0].verify() == []
        for handle in self.handles:
            handle.close()
        shutil.rmtree(self.home.parent)

    # What people do

    @initialize(number=NUMBERS)
    def begin(self, number: int) -> None:
        self.add(0, "one", number)

    @rule(handle=HANDLES, task=TASKS, number=NUMBERS)
    def add(self, handle: int, task: str, number: int) -> None:
        expert = add_expert(self.handles[handle], task, number=number)
        self.experts.setdefault(task, []).append(number)
        assert expert.version == len(self.experts[task])

    @rule(handle=HANDLES, number=NUMBERS)
    def retrain(self, handle: int, number: int) -> None:
        self._retrain(self.handles[handle], number)
        self._retrained()

    @precondition(lambda self: self.generations)
    @rule(handle=HANDLES, alias=ALIASES, which=NUMBERS)
    def promote(self, handle: int, alias: str, which: int) -> None:
        target = self._target(which)
        self.handles[handle].promote(target, alias=alias)
        self._promoted(alias, target)

    @rule(handle=HANDLES, alias=ALIASES)
    def rollback(self, handle: int, alias: str) -> None:
        trail = self.trails.get(alias, [])
        if len(trail) < 2:
            with pytest.raises(NotFoundError):
                self.handles[handle].rollback(alias)
            return
        trail.pop()
        assert self.handles[handle].rollback(alias).target == trail[-1]
        self.moves[alias].append(("rollback", trail[-1]))

    @precondition(lambda self: any(self.trails.values()))
    @rule(handle=HANDLES, alias=ALIASES)
    def remove(self, handle: int, alias: str) -> None:
        if self.trails.get(alias):
            self.handles[handle].alias(alias, None)
            self.trails[alias] = []
            self.moves[alias].append(("remove", None))

    @rule(handle=HANDLES)
    def gc(self, handle: int) -> None:
        registry = self.handles[handle]
        collect(registry, grace=timedelta(0))
        assert {path.name for path in registry.blobs.paths()} == blobs(registry)
        assert examine(registry, deep=True).problems == ()

    # What happens to them

    @rule(task=TASKS, number=NUMBERS, point=st.sampled_from(PUBLISH))
    def crash_while_adding(self, task: str, number: int, point: str) -> None:
        died = self._crash(point, lambda registry: add_expert(registry, task, number=number))
        # A step is skipped where the very bytes are there already: then it was done.
        if not died or point == "row.committed":
            self.experts.setdefault(task, []).append(number)

    @rule(number=NUMBERS, point=st.sampled_from(PUBLISH + PROMOTE))
    def crash_while_retraining(self, number: int, point: str) -> None:
        died = self._crash(point, lambda registry: self._retrain(registry, number))
        if not died or point == "promote.committed":
            self._retrained()

    @rule(point=st.sampled_from(COLLECT))
    def crash_while_collecting(self, point: str) -> None:
        self._crash(point, lambda registry: collect(registry, grace=timedelta(0)))

    @rule(handle=HANDLES)
    def reopen(self, handle: int) -> None:
        self.handles[handle].close()
        self.handles[handle] = Registry(self.home)

    @rule(task=TASKS, number=NUMBERS)
    def another_process(self, task: str, number: int) -> None:
        def work() -> None:
            with Registry(self.home) as registry:
                add_expert(registry, task, number=number)

        assert os.waitpid(start(work), 0)[1] == 0
        self.experts.setdefault(task, []).append(number)

    # What must hold after every step, seen through either handle

    @invariant()
    def the_registry_is_what_the_model_is(self) -> None:
        type(self).steps += 1
        registry = self.handles[self.steps % 2]
        with registry.transaction():  # One connection for all the questions.
            self._compare(registry)

    def _compare(self, registry: Registry) -> None:
        assert [expert.name for expert in registry.experts(all_versions=True)] == [
            f"{task}@{version + 1}"
            for task, numbers in sorted(self.experts.items())
            for version in range(len(numbers))
        ]
        assert [made.experts for made in registry.generations()] == self.generations
        assert {alias.name: alias.target for alias in registry.aliases()} == {
            name: trail[-1] for name, trail in self.trails.items() if trail
        }
        for alias, moves in self.moves.items():
            assert [(event.action, event.target) for event in registry.history(alias)][::-1] == moves
        for task, numbers in self.experts.items():
            assert registry.tensors(task)[1] == {"number": numbers[-1]}

    def _retrain(self, registry: Registry, number: int) -> None:
        with registry.transaction():
            made = add_generation(registry, *self._newest(), number=number)
            registry.promote(made.name)
        fault("promote.committed")

    def _retrained(self) -> None:
        self.generations.append(self._newest())
        self._promoted("production", f"router@{len(self.generations)}")

    def _newest(self) -> tuple[str, ...]:
        return tuple(f"{task}@{len(numbers)}" for task, numbers in sorted(self.experts.items()))

    def _target(self, which: int) -> str:
        return f"router@{which % len(self.generations) + 1}"

    def _promoted(self, alias: str, target: str) -> None:
        trail = self.trails.setdefault(alias, [])
        if trail[-1:] != [target]:
            trail.append(target)
            self.moves.setdefault(alias, []).append(("promote", target))

    def _crash(self, point: str, work: Callable[[Registry], object]) -> bool:
        """Whether the process that did `work` died at `point`; else it did all of it."""

        def opened() -> None:
            with Registry(self.home) as registry:
                work(registry)

        return killed_at(point, opened)
