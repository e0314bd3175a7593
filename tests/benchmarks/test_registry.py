"""The benchmark of a large registry runs as a whole, small."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(120)
def test_a_small_run_reports_every_figure_that_a_target_is_set_for(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.registry", "--work", str(tmp_path), "--json"]
    small = ["--experts", "20", "--generations", "3", "--calls", "2"]
    found = subprocess.run([*command, *small], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    report = json.loads(found.stdout)
    assert {"lineage_p95_ms_10k", "listing_p95_ms_10k"} <= {*report["ratios"]}
    assert all(value > 0 for value in report["ratios"].values())
    timed = [row["call"] for row in report["table"]]
    assert "lineage(generation), any" in timed
    assert "add_generation, 1 to 300 experts" in timed
