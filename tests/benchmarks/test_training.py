"""`benchmarks.training` and `benchmarks.gpu` run whole, with a tiny base model."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import training
from benchmarks.competitors import Job, run_in_turns
from benchmarks.training_report import accuracy, pace, ratio
from tests.trainer.samples import question_rows

ROOT = Path(__file__).parents[2]


def run(name: str, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments, "--threads", "1", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of one task, as the benchmarks read it."""
    folder = tmp_path / "data" / "question"
    folder.mkdir(parents=True)
    rows = question_rows()
    for name, own in (("train", rows), ("test", [(f"{text} Please.", label) for text, label in rows[::3]])):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *own])
    return tmp_path / "data"


@pytest.mark.timeout(400)
def test_ours_and_peft_train_the_same_rows_in_turns(
    data: Path, tmp_path: Path, tiny_llama_folder: Path
) -> None:
    ours = replace(
        job(tmp_path, 1, None),
        task="question",
        data=data / "question" / "train.csv",
        test=data / "question" / "test.csv",
        base_model=str(tiny_llama_folder),
        batch_size=16,
        max_length=32,
        block=2,
        work=tmp_path / "work",
    )
    found = run_in_turns([ours, replace(ours, who="peft_grouped", first_layer=0)])
    for one in found:
        assert 0 <= one["accuracy"] <= 1
        assert 0 <= one["validation"] <= 1
        assert all(block["wall"] > 0 for block in one["blocks"])
    taken = [[(block["what"], block["rows"]) for block in one["blocks"]] for one in found]
    rows = sum(count for _, count in taken[0])
    assert rows == sum(count for _, count in taken[1]) > 90
    assert taken[0][:2] == [("states", 0), ("steps", 32)]
    assert taken[1][0] == ("steps", 32)
    assert [one[-1][0] for one in taken] == ["end", "end"]
    assert found[0]["parameters"] < found[1]["parameters"]
    assert list((tmp_path / "work" / "running").iterdir()) == []


def test_finished_groups_are_kept_and_told_without_training_again(
    data: Path,
    tmp_path: Path,
    tiny_llama_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = (
        *("training", "--data", str(data), "--base-model", str(tiny_llama_folder)),
        *("--work", str(tmp_path / "work"), "--tasks", "question", "--rows", "54", "--seeds", "0", "1"),
        *("--k", "2", "--threads", "1", "--plot", str(tmp_path / "plot.svg"), "--json"),
    )
    monkeypatch.setattr(sys, "argv", list(words))
    options = training.arguments()
    options.layers, options.default_k = 4, 1
    torch.set_num_threads(1)
    for group in training.groups(options):
        path = training.kept_in(group, tmp_path / "work" / "training")
        path.parent.mkdir(parents=True, exist_ok=True)
        made = [
            {
                "blocks": [{"what": "end", "rows": 100, "steps": 4, "wall": seconds, "processor": seconds}],
                "accuracy": 0.8 + 0.01 * one.seed,
                "parameters": 7,
            }
            for one in group
            for seconds in [1.0 if one.who == "ours" else 4.0 if one.who == "peft" else 2.0]
        ]
        path.write_text(json.dumps(made))
    training.main()
    report = json.loads(capsys.readouterr().out)
    lines = [(row["who"], row["k"], row["rows/s"]["median"], row["test accuracy"]) for row in report["table"]]
    assert lines == [
        ("ours", 1, 100.0, pytest.approx(0.805)),
        ("peft", 0, 25.0, pytest.approx(0.805)),
        ("peft grouped", 0, 50.0, 0.8),
        ("peft upper", 1, 25.0, 0.8),
        ("ours", 2, 100.0, 0.8),
    ]
    assert report["ratios"] == {
        "ours_over_peft_rows_per_s": 4.0,
        "ours_over_peft_rows_per_processor_s": 4.0,
        "ours_over_peft_grouped_rows_per_s": 2.0,
        "ours_over_peft_grouped_rows_per_processor_s": 2.0,
        "ours_over_peft_upper_rows_per_s": 4.0,
        "ours_over_peft_upper_rows_per_processor_s": 4.0,
        "ours_minus_peft_points": pytest.approx(0.0),
        "ours_minus_peft_points_low": pytest.approx(0.0),
        "ours_minus_peft_points_high": pytest.approx(0.0),
    }
    assert 1 < report["floor"]["question: least work, peft over ours"] < 3
    assert (tmp_path / "plot.svg").stat().st_size > 1000


@pytest.mark.timeout(400)
def test_a_gpu_would_be_measured_by_what_runs_on_a_cpu_in_small(tmp_path: Path) -> None:
    report = run(
        "gpu",
        *("--tiny", "--device", "cpu", "--length", "12", "--batches", "2", "--experts", "4"),
        *("--together", "1", "2", "--rows", "16", "--repeats", "1", "--work", str(tmp_path)),
    )
    forms = [row["form"] for row in report["table"] if row["part"] == "latency"]
    assert forms == ["bare", "factors", "contraction", "reconstruction", "merged"]
    assert set(report["ratios"]) == {
        "contraction_over_factors_batch_2",
        "contraction_over_reconstruction_batch_2",
        "routed_over_bare_4_batch_2",
        "training_rows_per_s_1",
        "training_rows_per_s_2",
    }
    assert report["notes"][0] == "Ran on cpu; the base model is tiny."


def job(tmp_path: Path, rows: int, limit: int | None) -> Job:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "a text,b\n" * rows)
    return Job(
        who="ours",
        task="t",
        data=path,
        test=path,
        base_model="",
        first_layer=1,
        epochs=2,
        batch_size=10,
        max_length=8,
        seed=0,
        threads=1,
        block=1,
        work=tmp_path,
        limit=limit,
    )


BLOCKS = [
    {"what": "states", "rows": 0, "steps": 0, "wall": 8.0, "processor": 4.0},
    {"what": "steps", "rows": 10, "steps": 1, "wall": 2.0, "processor": 1.0},
    {"what": "end", "rows": 8, "steps": 1, "wall": 2.0, "processor": 1.0},
]


def test_the_pass_before_training_counts_in_full_or_for_its_share_of_the_epochs(tmp_path: Path) -> None:
    assert pace(BLOCKS, job(tmp_path, 10, None)) == {"rows_per_wall_s": 1.5, "rows_per_processor_s": 3.0}
    # The last 8 rows of the 180 that two epochs have.
    assert pace(BLOCKS, job(tmp_path, 100, 2)) == pytest.approx(
        {"rows_per_wall_s": 8 / (2 + 8 * 8 / 180), "rows_per_processor_s": 8 / (1 + 4 * 8 / 180)}
    )


def test_ratio_and_interval_are_over_pairs_that_were_trained_in_turns() -> None:
    ours, peft = ("ours", 8), ("peft", 0)
    found = [
        {"group": f"g{seed}", "who": who, "k": k, "task": "t", "seed": seed, "rows_per_wall_s": fast,
         "accuracy": score}
        for seed, pair in enumerate(((3.0, 1.0, 0.9, 0.88), (4.0, 2.0, 0.9, 0.9), (10.0, 2.0, 0.9, 0.92)))
        for (who, k), fast, score in ((ours, pair[0], pair[2]), (peft, pair[1], pair[3]))
    ]  # fmt: skip
    assert ratio(found, ours, peft, "wall") == 3.0
    assert ratio(found, ours, ("peft", 8), "wall") is None
    assert accuracy(found, ours, peft) == pytest.approx(
        {
            "ours_minus_peft_points": 0.0,
            "ours_minus_peft_points_low": -4.30 * 2 / 3**0.5,
            "ours_minus_peft_points_high": 4.30 * 2 / 3**0.5,
        }
    )
