"""Regression beside LoRA, multiple choice beside all choices in one text, and text generation beside LoRA and
the base model that is shown a few rows; test rows of real tasks.

    python -m benchmarks.kinds [--data FOLDER] [--tasks stsb sick_relatedness csqa social_iqa] [--seeds 0 1 2]
                               [--rows 1000] [--test-rows 500] [--epochs 4] [--work DIR] [--json]

Tasks to write are, for example, `--tasks e2e_nlg common_gen`.

`FOLDER` holds one folder a task, each with `train.csv` and one of `test.csv` or `validation.csv`, which is
used as test; validation rows are carved out of train. Every form of a task is trained by the same loop on the
same rows:

- of a task with numbers: `tt_lora`, and `lora` of rank 16;
- of a task with choices: `choices`, each read by itself after the text (kind multiple_choice), and `string`,
  text and all choices in one text whose label is the number of the right one (kind classification). Both are
  `tt_lora`;
- of a task to write: `tt_lora`, and `lora` of rank 16; and the base model alone with 4 rows of train before
  each that it is asked, which may write as much as the expert.

Everything is kept in homes below `--work`, so that a second call goes on where the first one stopped.
"""

import argparse
import csv
import json
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any

from benchmarks import few_shot, measure
from benchmarks.samples import held_out, sample
from registry import Registry
from trainer.base_model import BaseModel
from trainer.dataset_features import rows_of
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
WRITTEN = (Form("tt_lora", "text_generation"), Form("lora", "text_generation", "lora", 16))


def main() -> None:
    """Measure what is not measured yet, and print the report."""
    options = arguments()
    measure.set_threads(options.threads)
    base = BaseModel.load(options.base_model)
    report = measure.Report("task kinds")
    for task in options.tasks:
        forms = forms_of(options.data / task / "train.csv")
        found = {
            form.name: [run(base, task, form, seed, options) for seed in options.seeds] for form in forms
        }
        for form in forms:
            report.table.append(line(task, form, found[form.name]))
        ours, other = (scores(found[form.name]) for form in forms)
        gained = [one - two for one, two in zip(ours, other, strict=True)]
        report.ratios[f"{task}: {forms[0].name} less {forms[1].name}"] = measure.spread(gained).median
        if forms == WRITTEN:
            report.ratios[f"{task}: loss of a token, tt_lora over lora"] = losses(*found.values())
            shown = [
                few_shots(base, task, one, seed, options)
                for seed, one in zip(options.seeds, found[WRITTEN[0].name], strict=True)
            ]
            report.table.append(few_shot.line(task, shown))
    report.notes.append(
        f"{options.base_model}; {options.rows or 'all'} rows of train, validation among them, "
        f"{options.test_rows or 'all'} of test; seeds {', '.join(map(str, options.seeds))}; median and "
        "quartiles over seeds; differences seed by seed."
    )
    report.show(as_json=options.json)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = measure.parser(__doc__)
    measure.add_tasks(parser, TASKS)
    parser.add_argument("--epochs", type=int, help="at most; by default as add-task")
    return parser.parse_args()


def forms_of(path: Path) -> tuple[Form, ...]:
    """The ways to learn the task in a file, by its columns."""
    with path.open(newline="", encoding="utf-8") as file:
        columns = next(csv.reader(file))
    return CHOICES if "choice_0" in columns else WRITTEN if "target" in columns else AMOUNTS


def run(base: BaseModel, task: str, form: Form, seed: int, options: argparse.Namespace) -> AddedTask:
    """The expert of one form and seed: found, or trained now."""
    folder = home_of(form, seed, options)
    train = sample(
        options.data / task / "train.csv", options.rows, folder / "rows" / f"{task}.csv", seed=seed
    )
    test = sample(held_out(options.data / task), options.test_rows, folder / "rows" / f"{task}-test.csv")
    if form.joined:
        train, test = (
            in_one_text(path, folder / "rows" / f"{task}-{name}-joined.csv")
            for name, path in (("train", train), ("test", test))
        )
    registry = Registry(folder / "home")
    try:
        added = add_task(
            registry,
            train,
            name=task,
            kind=form.kind,
            test=test,
            base_model=base,
            settings=ExpertSettings(adapter=form.adapter, rank=form.rank, seed=seed, epochs=options.epochs),
        )
        measure.tell(json.dumps({"task": task, "form": form.name, "seed": seed, **added.metrics["test"]}))
        return added
    finally:
        registry.close()


def losses(ours: list[AddedTask], others: list[AddedTask]) -> float:
    """The mean surprise of a target's token on test, as a share of that of the others."""
    ratios = [
        log(one.metrics["test"]["perplexity"]) / log(other.metrics["test"]["perplexity"])
        for one, other in zip(ours, others, strict=True)
    ]
    return measure.spread(ratios).median


def few_shots(
    base: BaseModel, task: str, expert: AddedTask, seed: int, options: argparse.Namespace
) -> dict[str, float]:
    """The scores of the base model on the test rows of an expert: found, or measured now."""
    folder = home_of(WRITTEN[0], seed, options)
    kept = folder / f"{task}-shots.json"
    if not kept.exists():
        with Registry(folder / "home") as registry:
            dataset = registry.dataset(task, expert.expert.dataset)
            data = rows_of(registry, dataset, expert.expert.kind)
        limit = expert_limit(expert)
        found = few_shot.few_shot(base, data.split("train"), data.split("test"), limit, seed)
        kept.write_text(json.dumps(found))
    measured: dict[str, float] = json.loads(kept.read_text())
    measure.tell(json.dumps({"task": task, "form": "shots", "seed": seed, **measured}))
    return measured


def expert_limit(expert: AddedTask) -> int:
    """How much an expert writes at most."""
    return int(expert.expert.config["architecture"]["task_config"]["max_new_tokens"])


def home_of(form: Form, seed: int, options: argparse.Namespace) -> Path:
    """Where all of one form and seed is kept."""
    folder: Path = options.work / "kinds"
    return folder / f"{form.name}-{seed}-{options.rows}-{options.test_rows}-{options.epochs}"


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
