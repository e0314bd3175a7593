"""Tasks that no expert was made for, from a few rows: `adapt` beside an expert trained on the same rows.

    python -m benchmarks.unseen [--data FOLDER] [--home HOME] [--tasks ...] [--seeds 0 1 2] [--rows 32]
                                [--test-rows 300] [--in-turn] [--base-model NAME] [--known ...]
                                [--known-rows 1000] [--scratch-epochs N] [--work DIR] [--json]

`FOLDER` holds one folder a task, each with `train.csv` and one of `test.csv` or `validation.csv`. `HOME` has
experts of other tasks and is only copied; without it experts of the `--known` tasks are trained first. For
each task and seed `--rows` rows are drawn at random, so that they tell how frequent each label is
(`--in-turn`: label by label in turn, so that each is as frequent), and three ways are tried on them:

- `adapt`: what `registry adapt` makes of them, with the base model loaded anew; its time is the whole call.
- `scratch`: what `registry add-task` makes of them, in a home of its own.
- `head`: a head solved on the bare base model, as `adapt` solves it, without any expert.

Test rows are read only to report, by accuracy and by macro F1, the mean over the labels that occur in them;
`majority` is what always answering the commonest label of the rows would have. What was measured is kept in
`--work`: a run that was cut short goes on, and one with another folder measures anew. `--rows 16 --test-rows
40 --seeds 0 --tasks snli --known sst2 trec --known-rows 100` is a small run.
"""

import argparse
import csv
import json
import random
import shutil
import time
from collections import Counter, defaultdict
from itertools import chain, product, zip_longest
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks import measure
from benchmarks.samples import held_out, sample
from registry import Registry
from registry.database import migrate
from trainer import kinds
from trainer.base_model import BaseModel, default_first_layer
from trainer.combining import deep_layers, pooled_states
from trainer.data import Row, read_task
from trainer.dataset_features import inputs
from trainer.encoding import encode
from trainer.moe import MoE
from trainer.pipeline import ExpertSettings, adapt, add_task
from trainer.solving import solve
from trainer.visitors import LAST, MEAN

TASKS = ("customer_reviews", "dailydialog_act", "qqp", "search_snippets", "snli")
SCORES = ("accuracy", "macro F1")
WAYS = ("adapt", "scratch", "head", "majority")
TIMES = ("seconds", "processor_seconds", "scratch_seconds")
KNOWN = ("ag_news", "cola", "mrpc", "sick", "sst2", "trec")


def main() -> None:
    """Measure every task and seed, and print the report."""
    options = arguments()
    measure.set_threads(options.threads)
    base = BaseModel.load(options.base_model)
    home = options.home or known_home(base, options)
    report = measure.Report("unseen tasks")
    found = [kept(base, home, task, seed, options) for task in options.tasks for seed in options.seeds]
    won = dict.fromkeys(SCORES, 0)
    for task in options.tasks:
        own = [one for one in found if one["task"] == task]
        means = {way: {score: fmean(one[way][score] for one in own) for score in SCORES} for way in WAYS}
        shown = {way: " / ".join(f"{value:.3f}" for value in each.values()) for way, each in means.items()}
        times = {name: measure.spread([one[name] for one in own]) for name in TIMES}
        parents = "; ".join(one["combined_from"] for one in own)
        report.table.append(
            {"task": task, "labels": own[0]["labels"], **shown, **times, "combined from": parents}
        )
        for score in SCORES:
            gained = means["adapt"][score] - means["scratch"][score]
            report.ratios[f"{task}: {score}, adapt less scratch"] = gained
            won[score] += gained > 0
    report.ratios |= {f"tasks on which adapt has more {score}": count for score, count in won.items()}
    report.ratios["longest adapt, seconds"] = max(one["seconds"] for one in found)
    drawn = "label by label in turn" if options.in_turn else "at random"
    report.notes.append(
        f"{options.base_model}; {options.rows} rows drawn {drawn}, of which a tenth each is set aside; "
        f"{' / '.join(SCORES)} on {options.test_rows} test rows, means over the seeds "
        f"{', '.join(map(str, options.seeds))}; of times median and quartiles."
    )
    report.show(as_json=options.json)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = measure.parser(__doc__)
    measure.add_tasks(parser, TASKS, rows=32, test_rows=300)
    parser.add_argument("--home", type=Path, help="a home with experts of other tasks; it is copied")
    parser.add_argument("--in-turn", action="store_true", help="draw rows label by label in turn")
    parser.add_argument("--known", nargs="+", default=KNOWN, help="tasks to train experts of, without --home")
    parser.add_argument("--known-rows", type=int, default=1000)
    parser.add_argument("--scratch-epochs", type=int, help="of the trained expert [default: add-task's]")
    return parser.parse_args()


def known_home(base: BaseModel, options: argparse.Namespace) -> Path:
    """A home with an expert of each known task; a second call finds it."""
    home: Path = options.work / "unseen" / f"known-{options.known_rows}"
    with Registry(home) as registry:
        for task in options.known:
            rows = sample(
                options.data / task / "train.csv", options.known_rows, home / "rows" / f"{task}.csv"
            )
            added = add_task(registry, rows, name=task, base_model=base)
            measure.tell(json.dumps({"known": added.expert.name, **added.metrics["test"]}))
    return home


def kept(base: BaseModel, home: Path, task: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """One task and seed: as measured before, or measured now."""
    way = "in-turn" if options.in_turn else "random"
    folder = options.work / "unseen" / f"{task}-{seed}-{options.rows}-{way}-{options.test_rows}"
    path = folder / "found.json"
    if not path.exists():
        shutil.rmtree(folder, ignore_errors=True)
        path.write_text(json.dumps(run(base, home, folder, task, seed, options)))
    found: dict[str, Any] = json.loads(path.read_text())
    measure.tell(json.dumps(found))
    return found


def run(
    base: BaseModel, home: Path, folder: Path, task: str, seed: int, options: argparse.Namespace
) -> dict[str, Any]:
    """One task and seed: all three ways."""
    source = options.data / task
    few = draw(source / "train.csv", options.rows, folder / f"{task}.csv", seed, in_turn=options.in_turn)
    asked = test_rows(source, options.test_rows)
    shutil.copytree(home, folder / "home")
    migrate(folder / "home")
    with Registry(folder / "home") as registry, Registry(folder / "scratch") as own:
        processor = time.process_time()
        adapted = adapt(registry, few, device=str(base.device))
        processor = time.process_time() - processor
        trained = add_task(
            own, few, base_model=base, settings=ExpertSettings(epochs=options.scratch_epochs, seed=seed)
        )
        return {
            "task": task,
            "seed": seed,
            "labels": len(adapted.expert.labels),
            "adapt": scores(answers(registry, adapted.expert.name, base, asked), asked),
            "scratch": scores(answers(own, trained.expert.name, base, asked), asked),
            "head": scores(head_alone(base, few, asked), asked),
            "majority": scores([commonest(few)] * len(asked), asked),
            "left_out": adapted.details["left_out"]["accuracy"],
            "base_alone": adapted.details["base_alone"]["accuracy"],
            "tried": adapted.details["tried"],
            "rounding_error": adapted.details["rounding_error"],
            "combined_from": " + ".join(f"{w:g} {name}" for name, w in adapted.combined_from.items()) or "-",
            "seconds": adapted.added.seconds,
            "processor_seconds": processor,
            "scratch_seconds": trained.seconds,
        }


def draw(path: Path, count: int, target: Path, seed: int, *, in_turn: bool = False) -> Path:
    """A file with so many rows, drawn at random, or label by label in turn. A row whose label no other has,
    which the product refuses, gives way to the next one drawn."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *body = csv.reader(file)
    random.Random(seed).shuffle(body)
    if in_turn:
        by_label: dict[str, list[list[str]]] = defaultdict(list)
        for row in body:
            by_label[row[header.index("label")]].append(row)
        turns = chain.from_iterable(zip_longest(*(by_label[label] for label in sorted(by_label))))
        body = [row for row in turns if row is not None]
    rows, rest, place = body[:count], body[count:], header.index("label")
    while rest:
        counts = Counter(row[place] for row in rows)
        alone = [row for row in rows if counts[row[place]] == 1]
        if not alone:
            break
        rows = [row for row in rows if row not in alone] + rest[: len(alone)]
        rest = rest[len(alone) :]
    target.parent.mkdir(parents=True)
    with target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return target


def test_rows(source: Path, count: int) -> list[Row]:
    """At most so many test rows of a task, the same each time."""
    every = read_task(held_out(source), kinds.load_all("tasks")).rows
    return [
        every[place] for place in sorted(random.Random(0).sample(range(len(every)), min(count, len(every))))
    ]


def answers(registry: Registry, name: str, base: BaseModel, rows: list[Row]) -> list[str]:
    """What an expert answers to rows."""
    return [one.label for one in MoE.load(registry, expert=name, base=base).predict(inputs(rows))]


def head_alone(base: BaseModel, few: Path, rows: list[Row]) -> list[str]:
    """The same of a head that is solved on the bare base model."""
    data = read_task(few, kinds.load_all("tasks"))
    kind, train = kinds.load("tasks", data.kind), data.split("train")
    states, layers = [], deep_layers(base.layers, default_first_layer(base.layers))
    for each in (train, rows):
        encoding = encode(base, inputs(each), layers=(1,), max_length=ExpertSettings.max_length)
        states.append(pooled_states(encoding, range(len(each)), {}, layers))
    readings = list(product(layers, (MEAN, LAST)))
    solved = [solve(kind, states[0][layer][:, pooling], train, data.labels) for layer, pooling in readings]
    best = min(range(len(solved)), key=lambda one: solved[one].loss)
    (layer, pooling), head = readings[best], solved[best].head
    given = kind.answers(head, head(states[1][layer][:, pooling]), data.labels, inputs(rows))
    return [one.label for one in given]


def commonest(few: Path) -> str:
    """The label that most of some rows have; of equals the first."""
    counts = Counter(row.values["label"] for row in read_task(few, kinds.load_all("tasks")).split("train"))
    return min(counts, key=lambda label: (-counts[label], label))


def scores(said: list[str], rows: list[Row]) -> dict[str, float]:
    """Accuracy, and the mean F1 of the labels that occur."""
    right = [row.values["label"] for row in rows]
    hits = Counter(one for one, other in zip(said, right, strict=True) if one == other)
    told, there = Counter(said), Counter(right)
    each = [2 * hits[label] / (told[label] + there[label]) for label in sorted(there)]
    return {"accuracy": hits.total() / len(rows), "macro F1": fmean(each)}


if __name__ == "__main__":
    main()
