"""The state machine finds a registry that does something else than its model."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from registry import Registry, aliases, garbage
from registry.errors import DamagedError
from tests.stress.machines import States

A_FEW = settings(
    max_examples=30,
    stateful_step_count=20,
    phases=[Phase.generate],
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)


def test_a_collector_that_takes_what_is_referred_to_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Registry(tmp_path / "empty").close()
    monkeypatch.setattr(garbage, "referenced", lambda *_: set())
    with pytest.raises((AssertionError, DamagedError)):
        run_state_machine_as_test(type("States", (States,), {"folder": tmp_path}), settings=A_FEW)


def test_a_rollback_that_goes_to_the_wrong_place_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Registry(tmp_path / "empty").close()
    earlier = aliases.earlier
    monkeypatch.setattr(aliases, "earlier", lambda *about: min(earlier(*about), 1))
    with pytest.raises(AssertionError):
        run_state_machine_as_test(type("States", (States,), {"folder": tmp_path}), settings=A_FEW)
