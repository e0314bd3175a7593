"""Every part of the stress run, small: `make stress` runs them at full size."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stress.machine import ROOT
from tests.stress.part import load, names


@pytest.mark.parametrize("name", names())
def test_a_small_stress_run_reaches_what_is_promised(name: str, tmp_path: Path) -> None:
    why_not = getattr(load(name), "missing", lambda: None)()
    if why_not:
        pytest.skip(why_not)
    work = tmp_path / "work"
    arguments = ["--work", str(work), "--only", name, "--scale", str(load(name).SMALL)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.stress", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((work / f"{name}.json").read_text())["reached"]
