"""A hypothesis state machine over the registry, beside a model of it: see `tests.stress.machines`."""

import json
from functools import partial
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck
from hypothesis.stateful import run_state_machine_as_test

from registry import Registry
from tests.stress.forks import together
from tests.stress.machines import States
from tests.stress.sizes import sized

TITLE = "random add, retrain, promote, rollback, gc, crash, reopen and second process, beside a model"
TARGET = "500 examples x 50 steps = 25,000 steps: never a difference"
MINUTES = 5.0
SMALL = 0.01

EXAMPLES = 700  # Some are shorter than 50 steps.
PROCESSES = 2
STEPS = 50


def run(folder: Path, scale: float) -> dict[str, int | float]:
    """Lets hypothesis look for a difference, in several processes; each prints the shortest way to one."""
    examples = sized(EXAMPLES, scale / PROCESSES)
    Registry(folder / "empty").close()
    failed = together([partial(look, folder, seed, examples, scale < 1) for seed in range(PROCESSES)])
    steps = sum(json.loads(path.read_text()) for path in folder.glob("steps-*.json"))
    return {"examples": PROCESSES * examples, "steps": steps, "differences": failed}


def look(folder: Path, seed: int, examples: int, repeatable: bool) -> None:
    """Looks for a difference; raises what it finds."""
    machine = type("States", (States,), {"folder": folder})
    if repeatable:
        # The tests of every day must not fail at random; the full run looks elsewhere each time.
        machine = hypothesis.seed(seed)(machine)
    try:
        run_state_machine_as_test(
            machine,
            settings=hypothesis.settings(
                max_examples=examples,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        (folder / f"steps-{seed}.json").write_text(json.dumps(machine.steps))


def reached(figures: dict[str, int | float]) -> bool:
    """No difference was found."""
    return figures["steps"] > 0 and not figures["differences"]
