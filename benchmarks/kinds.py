"""Regression beside LoRA, and multiple choice beside all choices in one text; test rows of real tasks.

    python -m benchmarks.kinds [--data FOLDER] [--tasks stsb sick_relatedness csqa social_iqa] [--seeds 0 1 2]
                               [--rows 1000] [--test-rows 500] [--epochs 4] [--work DIR] [--json]

`FOLDER` holds one folder a task, each with `train.csv` and one of `test.csv` or `validation.csv`, which is
used as test; validation rows are carved out of train. Every form of a task is trained by the same loop on the
same rows:

- of a task with numbers: `tt_lora`, and `lora` of rank 16;
- of a task with choices: `choices`, each read by itself after the text (kind multiple_choice), and `string`,
  text and all choices in one text whose label is the number of the right one (kind classification). Both are
  `tt_lora`.

Everything is kept in homes below `--work`, so that a second call goes on where the first one stopped.
"""

import argparse
import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.samples import sample
from registry import Registry
from trainer.base_model import BaseModel
from trainer.pipeline import AddedTask, ExpertSettings, add_task

TASKS = ("stsb", "sick_relatedness", "csqa", "social_iqa")


@dataclass(frozen=True)
class Form:
    """One way to learn a task: how its rows are written, the kind, the adapter."""

    name: str
    kind: str
    adapter: str = "tt_lora"
    rank: int | None = None
    joined: bool = False


AMOUNTS = (Form("tt_lora", "regression"), Form("lora", "regression", "lora", 16))
CHOICES = (Form("choices", "multiple_choice"), Form("string", "classification", joined=True))


def main() -> None:
    """Measure what is not measured yet, and print the report."""
    options = arguments()
    measure.set_threads(options.threads)
    base = BaseModel.load(options.base_model)
    report = measure.Report("task kinds")
    for task in options.tasks:
        forms = CHOICES if has_choices(options.data / task / "train.csv") else AMOUNTS
        found = {
            form.name: [run(base, task, form, seed, options) for seed in options.seeds] for form in forms
        }
        for form in forms:
            report.table.append(line(task, form, found[form.name]))
        ours, other = (scores(found[form.name]) for form in forms)
        gained = [one - two for one, two in zip(ours, other, strict=True)]
        report.ratios[f"{task}: {forms[0].name} less {forms[1].name}"] = measure.spread(gained).median
    report.notes.append(
        f"{options.base_model}; {options.rows or 'all'} rows of train, validation among them, "
        f"{options.test_rows or 'all'} of test; seeds {', '.join(map(str, options.seeds))}; median and "
        "quartiles over seeds; differences seed by seed."
    )
    report.show(as_json=options.json)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = measure.parser(__doc__)
    measure.add_data(parser)
    parser.add_argument("--base-model", default="smollm2-135m")
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", type=int, help="of train, drawn at random; all by default")
    parser.add_argument("--test-rows", type=int, help="of test, the same for every seed; all by default")
    parser.add_argument("--epochs", type=int, help="at most; by default as add-task")
    return parser.parse_args()


def has_choices(path: Path) -> bool:
    """Whether a file has columns of choices."""
    with path.open(newline="", encoding="utf-8") as file:
        return "choice_0" in next(csv.reader(file))


def run(base: BaseModel, task: str, form: Form, seed: int, options: argparse.Namespace) -> AddedTask:
    """The expert of one form and seed: found, or trained now."""
    folder = (
        options.work / "kinds" / f"{form.name}-{seed}-{options.rows}-{options.test_rows}-{options.epochs}"
    )
    test = next(
        path for name in ("test", "validation") if (path := options.data / task / f"{name}.csv").exists()
    )
    train = sample(
        options.data / task / "train.csv", options.rows, folder / "rows" / f"{task}.csv", seed=seed
    )
    held_out = sample(test, options.test_rows, folder / "rows" / f"{task}-test.csv")
    if form.joined:
        train, held_out = (
            in_one_text(path, folder / "rows" / f"{task}-{name}-joined.csv")
            for name, path in (("train", train), ("test", held_out))
        )
    registry = Registry(folder / "home")
    try:
        added = add_task(
            registry,
            train,
            name=task,
            kind=form.kind,
            test=held_out,
            base_model=base,
            settings=ExpertSettings(adapter=form.adapter, rank=form.rank, seed=seed, epochs=options.epochs),
        )
        measure.tell(json.dumps({"task": task, "form": form.name, "seed": seed, **added.metrics["test"]}))
        return added
    finally:
        registry.close()


def in_one_text(path: Path, target: Path) -> Path:
    """The rows of a file with choices as labelled texts, in each of which all choices stand."""
    with (
        path.open(newline="", encoding="utf-8") as file,
        target.open("w", newline="", encoding="utf-8") as to,
    ):
        writer = csv.writer(to, lineterminator="\n")
        writer.writerow(["text", "label"])
        for row in csv.DictReader(file):
            choices = [value for name, value in row.items() if name.startswith("choice_")]
            numbered = [f"({place}) {choice}" for place, choice in enumerate(choices)]
            writer.writerow(["\n".join([row["text"], *numbered]), row["label"]])
    return target


def scores(found: list[AddedTask]) -> list[float]:
    """The score that counts, on test, of each seed."""
    return [next(iter(one.metrics["test"].values())) for one in found]


def line(task: str, form: Form, found: list[AddedTask]) -> dict[str, Any]:
    """A row of the table."""
    names = list(found[0].metrics["test"])
    each = {name: measure.spread([one.metrics["test"][name] for one in found]) for name in names}
    return {"task": task, "form": form.name, "parameters": found[0].expert.parameters, **each}


if __name__ == "__main__":
    main()
