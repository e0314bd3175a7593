"""The benchmark of mixtures, run small."""

import csv
import json
import subprocess
import sys
from pathlib import Path

from tests.trainer.tasks.samples import FILES

ROOT = Path(__file__).parent.parent.parent
LINES = ["own expert", "closed_form", "noisy_top1", "soft_token, frozen", "soft_token, joint", "one lora"]


def test_it_runs_small_and_a_second_call_has_it_all(tiny_llama_folder: Path, tmp_path: Path) -> None:
    header, *rows = FILES["text_generation"]
    for task, start in (("say", "Say it of"), ("tell", "What now of")):
        (tmp_path / "data" / task).mkdir(parents=True)
        own = [[text.replace("Say it of", start), target] for text, target in rows]
        for name, part in (("train", own[::2]), ("test", own[1::2])):
            with (tmp_path / "data" / task / f"{name}.csv").open("w", newline="") as file:
                csv.writer(file).writerows([header, *part])
    given = {"data": tmp_path / "data", "work": tmp_path / "work", "base-model": tiny_llama_folder}
    options = {"threads": 1, "rows": 30, "test-rows": 6, "epochs": 1, "rank": 2, "seeds": 3}
    command = [sys.executable, "-m", "benchmarks.soft_token", "--json", "--tasks", "say", "tell"]
    command += [word for name, value in {**given, **options}.items() for word in (f"--{name}", str(value))]
    found = []
    for _ in range(2):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    table = found[0]["table"]
    assert [row["answered by"] for row in table] == LINES
    assert all(row["perplexity"]["count"] == 1 and row["seed 3"] > 1 for row in table)
    sizes = {row["answered by"]: row["parameters"] for row in table}
    assert sizes["one lora"] == 2 * sizes["own expert"]
    assert sizes["soft_token, joint"] == sizes["soft_token, frozen"] == sizes["one lora"] + 2 * 49
    assert [*found[0]["ratios"]] == [
        "soft_token, frozen, over the best top-1 router",
        "soft_token, joint, over soft_token, frozen",
    ]
    assert found[1]["table"] == table
