"""The benchmark of adapter kinds, run small."""

import json
import subprocess
import sys
from pathlib import Path

from tests.tiny_models import SENTENCES
from trainer import kinds

ROOT = Path(__file__).parent.parent.parent


def test_it_runs_small(tiny_llama_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "one").mkdir(parents=True)
    rows = [f'"{sentence}"' for sentence in SENTENCES]
    (tmp_path / "data" / "one" / "train.csv").write_text("\n".join(["text", *rows, ""]))
    given = {"data": tmp_path / "data", "work": tmp_path / "work", "base-model": tiny_llama_folder}
    options = {"threads": 1, "rows": 6, "experts": 3, "lengths": 8, "repeats": 2, "device": "cpu"}
    command = [sys.executable, "-m", "benchmarks.adapters", "--json"]
    command += [word for name, value in {**given, **options}.items() for word in (f"--{name}", str(value))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    table = json.loads(done.stdout)["table"]
    names = [*kinds.names("adapters"), "all in turn"]
    assert [row["experts"] for row in table] == ["bare", *(f"{name}, 3 experts" for name in names)]
    assert all(row["ms"]["count"] == 2 and row["over bare"]["median"] > 0 for row in table)
