"""The benchmark of refits runs as a whole, small, and its sums are those of a joint fit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_small_run_reports_every_figure_that_a_target_is_set_for(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.router", "--work", str(tmp_path), "--json"]
    small = ["--tasks", "3", "--rows", "20", "--sizes", "2", "--repeats", "1"]
    found = subprocess.run([*command, *small], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    report = json.loads(found.stdout)
    ratios = report["ratios"]
    assert ratios.pop("joint_fit_difference") < 1e-8
    assert sorted(ratios) == [
        "rebuild_seconds_3_tasks",
        "refit_late_fusion_seconds_3_tasks",
        "refit_lexical_seconds_3_tasks",
        "refit_noisy_top1_seconds_3_tasks",
        "refit_seconds_3_tasks",
        "refit_trigrams_seconds_3_tasks",
        "retrain_router_seconds_3_tasks",
    ]
    assert all(seconds > 0 for seconds in ratios.values())
    assert {row["tasks"] for row in report["table"]} == {2, 3}
    assert (tmp_path / "router.svg").read_text(encoding="utf-8").startswith("<?xml")
