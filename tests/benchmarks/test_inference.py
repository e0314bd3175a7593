"""The benchmark of inference, run small; and its competitors answer what they stand for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.measure import interleave, markdown, ratio, spread
from benchmarks.paper import PaperMoE
from registry import Registry
from tests.tiny_models import SENTENCES
from tests.trainer.pools import publish, route
from trainer.base_model import BaseModel
from trainer.loans import Loan
from trainer.moe import MoE
from trainer.pool import Chosen
from trainer.thawing import thawed

ROOT = Path(__file__).parent.parent.parent


@torch.no_grad()
@pytest.mark.parametrize("reconstruct", [False, True])
def test_the_papers_form_gives_the_states_that_ours_gives(
    tiny_llama_folder: Path, tmp_path: Path, reconstruct: bool
) -> None:
    llama = BaseModel.load(str(tiny_llama_folder), device="cpu")
    with Registry(tmp_path / "home") as registry:
        experts = [publish(registry, llama, f"task{seed}", seed) for seed in range(4)]
        route(registry, llama, experts, SENTENCES)
        form = PaperMoE(llama, [thawed(registry, llama, one) for one in experts], reconstruct=reconstruct)
        moe = MoE.load(registry, base=llama)
    batch = llama.batch(llama.tokenize(SENTENCES, 32))
    slots = [place % 4 for place in range(len(SENTENCES))]
    form.experts.gate = torch.nn.functional.one_hot(torch.tensor(slots), 4).float()
    with Loan(moe.bank) as loan:
        loan.take(slots)
        ours = llama.forward(batch, Chosen(loan))
    kept = batch.mask.bool()
    assert torch.allclose(llama.forward(batch, form.experts)[kept], ours[kept], atol=1e-5)
    assert not torch.allclose(llama.forward(batch)[kept], ours[kept], atol=1e-2)
    assert form.answer(batch).isfinite().any(1).all()


def test_it_runs_small(tiny_llama_folder: Path, tmp_path: Path) -> None:
    for task in ("one", "two", "three"):
        (tmp_path / "data" / task).mkdir(parents=True)
        rows = [f'"{task}: {sentence} {place}"' for place in range(10) for sentence in SENTENCES]
        (tmp_path / "data" / task / "train.csv").write_text("\n".join(["text", *rows, ""]))
    command = [sys.executable, "-m", "benchmarks.inference", "--json", "--plot", str(tmp_path / "plot.svg")]
    command += [
        "--data",
        str(tmp_path / "data"),
        "--work",
        str(tmp_path / "work"),
        "--threads",
        "1",
        "--parts",
        "batches",
        "file",
    ]
    command += [
        "--base-model",
        str(tiny_llama_folder),
        "--experts",
        "3",
        "6",
        "--rows",
        "64",
        "--repeats",
        "1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {
        "routed_over_bare_3", "routed_over_bare_6", "routed_6_over_3", "paper_over_routed_3",
        "peft_over_routed_16", "file_rows_over_bare",
    } <= {*report["ratios"]}  # fmt: skip
    assert all(isinstance(value, float) for value in report["ratios"].values())
    assert report["machine"]["threads"] == 1
    assert (tmp_path / "plot.svg").read_text().startswith("<?xml")


def test_competitors_take_turns() -> None:
    seen: list[str] = []
    runs = interleave({"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, 3, warm_up=1)
    assert "".join(seen) == "abbabaab"
    assert {name: len(seconds) for name, seconds in runs.items()} == {"a": 3, "b": 3}


def test_ratios_are_taken_round_by_round() -> None:
    runs = {"slow": [2.0, 20.0, 4.0], "fast": [1.0, 10.0, 1.0]}
    assert ratio(runs, "slow", "fast").median == 2.0
    assert spread([5.0]).median == 5.0
    assert markdown([{"a": 1, "b": 0.5}, {"a": None}]).splitlines()[0] == "| a | b   |"
