"""Training one expert: ours beside PEFT LoRA with the Hugging Face Trainer, in turns on the same machine.

    python -m benchmarks.training [--data FOLDER] [--quick] [--tasks trec sst2 sick] [--seeds 0 1 2]
                                  [--k 4 15 22] [--work DIR] [--json]

`FOLDER` holds one folder a task, each with `train.csv` and one of `test.csv` or `validation.csv`, which is
used as test. Each competitor is a process of its own and trains a block of steps at a time, in turns with the
others. Same rows, batch size, length limit, epochs and threads, validation after each epoch, the best epoch
kept; test rows are only read to report.

- `ours`: `tt_lora` as `add-task` trains it, from reading the texts to the last epoch.
- `peft`: LoRA of rank 16 on q and v of all layers, dynamic padding; `peft upper`: of layers >= k only;
  `peft grouped`: of all layers, with the Trainer's batches of about equal length.

Each finished group is kept below `--work`, so that a second call goes on where the first stopped. `--quick`
times a few steps of one seed and measures no accuracy.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import measure
from benchmarks.competitors import Job, run_in_turns
from benchmarks.samples import sample
from benchmarks.training_report import draw, pace, summarise
from trainer.base_model import default_first_layer


def main() -> None:
    """Measure what is not measured yet, and print the report."""
    options = arguments()
    measure.set_threads(options.threads)
    options.layers = depth(options.base_model)
    options.default_k = default_first_layer(options.layers)
    found: list[dict[str, Any]] = []
    for group in groups(options):
        found += results(group, options.work / "training")
    report = measure.Report("training")
    summarise(report, found, options)
    if options.short:
        short(report, options)
    draw(found, options)
    report.show(as_json=options.json)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = measure.parser(__doc__)
    measure.add_data(parser)
    parser.add_argument("--base-model", default="smollm2-135m")
    parser.add_argument("--tasks", nargs="+", default=["trec", "sst2", "sick"])
    parser.add_argument("--rows", type=int, default=2000, help="of each task, validation among them")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--k", type=int, nargs="*", default=[4, 15, 22], help="more first layers to try")
    parser.add_argument("--block", type=int, default=5, help="steps a turn")
    parser.add_argument("--quick", action="store_true", help="time some steps, measure no accuracy")
    parser.add_argument("--steps", type=int, default=25, help="with --quick: how many")
    parser.add_argument("--short", action="store_true", help="also time 400 short rows on the command line")
    return parser.parse_args()


def depth(base_model: str) -> int:
    """Layers of the base model."""
    return int(config_of(base_model).num_hidden_layers)


def config_of(base_model: str) -> Any:
    """Its Hugging Face config."""
    from transformers import AutoConfig

    from trainer import sources

    return AutoConfig.from_pretrained(sources.resolve(base_model).folder, local_files_only=True)


def groups(options: argparse.Namespace) -> Iterator[list[Job]]:
    """The trainings that take turns: first all that the ratio stands on."""
    k = options.default_k
    seeds = options.seeds[:1] if options.quick else options.seeds
    for task in options.tasks:
        for seed in seeds:
            yield [job(options, task, seed, who, first) for who, first in (("ours", k), ("peft", 0))]
    for task in options.tasks:
        first = options.seeds[0]
        yield [
            job(options, task, first, who, layer)
            for who, layer in (("ours", k), ("peft_grouped", 0), ("peft", k))
        ]
        if options.k:
            yield [job(options, task, first, "ours", layer) for layer in dict.fromkeys([k, *options.k])]


def job(options: argparse.Namespace, task: str, seed: int, who: str, first_layer: int) -> Job:
    """One training of a group."""
    folder = options.data / task
    return Job(
        who=who,
        task=task,
        data=sample(folder / "train.csv", options.rows, options.work / f"{task}-{options.rows}.csv"),
        test=next(path for path in (folder / "test.csv", folder / "validation.csv") if path.exists()),
        base_model=options.base_model,
        first_layer=first_layer,
        epochs=options.epochs,
        batch_size=options.batch_size,
        max_length=options.max_length,
        seed=seed,
        threads=torch.get_num_threads(),
        block=options.block,
        work=options.work,
        limit=options.steps if options.quick else None,
    )


def kept_in(group: Sequence[Job], folder: Path) -> Path:
    """The file of a group's results."""
    names = "+".join(one.name for one in group)
    return folder / f"{group[0].task}-{hashlib.sha256(names.encode()).hexdigest()[:16]}.json"


def results(group: Sequence[Job], folder: Path) -> list[dict[str, Any]]:
    """What came of a group: kept from an earlier call, or measured now."""
    path = kept_in(group, folder)
    if not path.exists():
        measure.tell(f"training in turns: {', '.join(one.name for one in group)}")
        found = run_in_turns(group)
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(found))
        partial.replace(path)
    kept: list[dict[str, Any]] = json.loads(path.read_text())
    return [
        {
            "group": path.stem,
            "who": one.who,
            "k": one.first_layer,
            "task": one.task,
            "seed": one.seed,
            "epochs": one.epochs,
            **facts,
            **pace(facts["blocks"], one),
        }
        for one, facts in zip(group, kept, strict=True)
    ]


def short(report: measure.Report, options: argparse.Namespace) -> None:
    """400 short rows on the command line: `add-task`, then `retrain-router`."""
    rows = sample(options.data / "sst2" / "train.csv", 400, options.work / "short.csv", most_words=10)
    with tempfile.TemporaryDirectory(dir=options.work) as home:
        seconds = []
        for words in (
            ["add-task", "--data", str(rows), "--base-model", options.base_model],
            ["retrain-router"],
        ):
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "ui.cli", "--home", home, *words],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            seconds.append(time.perf_counter() - start)
    report.ratios["short_400_rows_expert_s"] = seconds[0]
    report.ratios["short_400_rows_routed_s"] = sum(seconds)


if __name__ == "__main__":
    main()
