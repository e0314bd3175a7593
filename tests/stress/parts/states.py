"""A hypothesis state machine over the registry, beside a model of it: see `tests.stress.machines`."""

import traceback
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from registry import Registry
from tests.stress.machines import States
from tests.stress.sizes import sized

TITLE = "random add, retrain, promote, rollback, gc, crash, reopen and second process, beside a model"
TARGET = "500 examples x 50 steps: never a difference"
MINUTES = 6.0
SMALL = 0.01

EXAMPLES = 500
STEPS = 50


def run(folder: Path, scale: float) -> dict[str, int | float]:
    """Lets hypothesis look for a difference; it prints the shortest way to one."""
    Registry(folder / "empty").close()
    machine = type("States", (States,), {"folder": folder})
    differences = 0
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=sized(EXAMPLES, scale),
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                # The tests of every day must not fail at random; the full run looks elsewhere each time.
                derandomize=scale < 1,
            ),
        )
    except Exception:  # Whatever it is, it is what was looked for.
        traceback.print_exc()
        differences = 1
    return {"examples": sized(EXAMPLES, scale), "steps": machine.steps, "differences": differences}


def reached(figures: dict[str, int | float]) -> bool:
    """No difference was found."""
    return figures["steps"] > 0 and not figures["differences"]
