"""One pool of everything: two tasks of each kind, experts of every adapter kind with ranks, modes and linear
layers of their own, and one router.

    python -m benchmarks.every_kind [--data FOLDER] [--rows 300] [--test-rows 150] [--written-rows 50]
                                    [--epochs 6] [--seed 0] [--base-model NAME] [--work DIR] [--json]

`FOLDER` holds one folder a task, each with `train.csv` and one of `test.csv` or `validation.csv`, which is
used as test; validation rows are carved out of train. Tasks of several labels are made from tasks to write,
in which one side names the parts of the other: which of them a text has.

Reported are the score that counts for each task, routed and by its own expert, on test rows; and how far one
batch of rows of all tasks is from the same rows one by one. Everything is kept in a home below `--work`, so
that a second call goes on where the first one stopped.
"""

import argparse
import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.samples import held_out, sample
from registry import Registry
from trainer.base_model import BaseModel
from trainer.dataset_features import inputs, rows_of
from trainer.inputs import Input
from trainer.moe import MoE
from trainer.pipeline import AddedTask, ExpertSettings, add_task, retrain_router
from trainer.predictions import Prediction
from trainer.tally import ROUTING, headlines

PARTS = 10
"""Labels of a task of several labels: the parts that most texts have."""
BESIDE = 2
"""Test rows of each task in the mixed batch."""


@dataclass(frozen=True)
class Member:
    """A task, and how its expert is made.

    Attributes:
        source: the task whose rows it has, where that is another; parts: what names a part of a text in
            them; named_in: the column where it does.
    """

    task: str
    kind: str
    adapter: str
    settings: dict[str, Any] = field(default_factory=dict)
    source: str | None = None
    parts: str = ""
    named_in: str = "target"


MEMBERS = (
    Member("trec", "classification", "sparse"),
    Member("sst2", "classification", "bottleneck", {"rank": 8}),
    Member(
        "e2e_parts",
        "multi_label",
        "tt_lora",
        {"rank": 6, "options": {"shapes": "24,24:24,24 24,24:16,12"}},
        source="e2e_nlg",
        parts=r"(\w[\w ]*)\[",
        named_in="text",
    ),
    Member(
        "mtop_parts", "multi_label", "lora", {"rank": 4}, source="mtop_semantic_parsing", parts=r"\[SL:(\w+)"
    ),
    Member("sciq", "multiple_choice", "tt_lora", {"rank": 10}),
    Member("social_iqa", "multiple_choice", "bottleneck"),
    Member("stsb", "regression", "lora", {"rank": 16}),
    Member(
        "lexical_complexity_single",
        "regression",
        "sparse",
        {"options": {"block": 32}, "rank": 4, "first_layer": 12},
    ),
    Member("sentence_negation", "text_generation", "tt_lora", {"targets": ("q_proj", "v_proj", "down_proj")}),
    Member("common_gen", "text_generation", "lora", {"rank": 8, "targets": ("v_proj", "o_proj")}),
)


def main() -> None:
    """Train what is not trained yet, route, and print the report."""
    options = arguments()
    measure.set_threads(options.threads)
    base = BaseModel.load(options.base_model)
    report = measure.Report("every kind in one pool")
    folder = options.work / f"every-{options.rows}-{options.test_rows}-{options.epochs}-{options.seed}"
    with Registry(folder / "home") as registry:
        added = [run(registry, base, member, folder / "rows", options) for member in MEMBERS]
        made = retrain_router(registry, promote=True)
        measure.tell(json.dumps({"generation": made.generation.name, "router": made.generation.router}))
        report.table = [line(one, made.per_task[one.expert.task]) for one in added]
        lost = [row["oracle"] - row["routed"] for row in report.table]
        report.ratios["points that routing loses, of the task that loses most"] = 100 * max(lost)
        report.ratios["rows sent to their own expert"] = made.metrics["test"][ROUTING]
        report.ratios |= beside(registry, base, added)
        report.notes.append(
            f"{options.base_model}; {options.rows} rows of train, validation among them, and at most "
            f"{options.test_rows} of test, {options.written_rows} where answers are written; at most "
            f"{options.epochs} epochs; seed {options.seed}; router {made.generation.router}, chosen on "
            "validation rows."
        )
    report.show(as_json=options.json)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = measure.parser(__doc__)
    measure.add_data(parser)
    parser.add_argument("--base-model", default="smollm2-135m")
    parser.add_argument("--rows", type=int, default=300, help="of train, drawn at random")
    parser.add_argument("--test-rows", type=int, default=150, help="of test, drawn at random")
    parser.add_argument("--written-rows", type=int, default=50, help="of test, of tasks to write")
    parser.add_argument("--epochs", type=int, default=6, help="at most")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def run(
    registry: Registry, base: BaseModel, member: Member, rows: Path, options: argparse.Namespace
) -> AddedTask:
    """The expert of one task: found, or trained now."""
    folder = options.data / (member.source or member.task)
    train, test = folder / "train.csv", held_out(folder)
    if member.source is not None:
        rows.mkdir(parents=True, exist_ok=True)
        common = [name for name, _ in Counter(_all_parts(member, train)).most_common(PARTS)]
        train = labelled(member, train, common, rows / f"{member.task}-all.csv")
        test = labelled(member, test, common, rows / f"{member.task}-all-test.csv")
    count = options.written_rows if member.kind == "text_generation" else options.test_rows
    added = add_task(
        registry,
        sample(train, options.rows, rows / f"{member.task}.csv", seed=options.seed),
        name=member.task,
        kind=member.kind,
        test=sample(test, count, rows / f"{member.task}-test.csv"),
        base_model=base,
        settings=ExpertSettings(
            adapter=member.adapter, epochs=options.epochs, seed=options.seed, **member.settings
        ),
    )
    measure.tell(json.dumps({"task": member.task, "adapter": member.adapter, **added.metrics["test"]}))
    return added


def labelled(member: Member, path: Path, common: Sequence[str], target: Path) -> Path:
    """The texts of a file with the parts that each has, joined by `|`; texts without any are left out."""
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["text", "label"])
        for text, parts in _parts(member, path):
            own = [name for name in common if name in parts]
            if own:
                writer.writerow([text, "|".join(sorted(own))])
    return target


def _all_parts(member: Member, path: Path) -> Iterator[str]:
    """Each part of each text, but for those that every text has."""
    found = [parts for _, parts in _parts(member, path)]
    everywhere = set.intersection(*found)
    return (name for parts in found for name in sorted(parts - everywhere))


def _parts(member: Member, path: Path) -> Iterator[tuple[str, set[str]]]:
    """Each text, and the parts that the other column names in it."""
    other = "target" if member.named_in == "text" else "text"
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield row[other], {name.strip() for name in re.findall(member.parts, row[member.named_in])}


def line(added: AddedTask, metrics: dict[str, float]) -> dict[str, Any]:
    """A row of the table."""
    metric, routed, oracle = headlines(metrics)
    expert = added.expert
    return {
        "task": expert.task,
        "kind": expert.kind,
        "adapter": expert.adapter,
        "parameters": expert.parameters,
        "metric": metric,
        "own expert asked": metrics[ROUTING],
        "routed": routed,
        "oracle": oracle,
    }


def beside(registry: Registry, base: BaseModel, added: Sequence[AddedTask]) -> dict[str, float | None]:
    """How far one batch of rows of all tasks is from the same rows, each by itself."""
    asked: list[Input] = []
    for one in added:
        dataset = registry.dataset(one.expert.task, one.expert.dataset)
        asked += inputs(rows_of(registry, dataset, one.expert.kind).split("test")[:BESIDE])
    moe = MoE.load(registry, base=base)
    together = moe.predict(asked, top_k=1)
    alone = [answer for one in asked for answer in moe.predict([one], top_k=1)]
    pairs = list(zip(together, alone, strict=True))
    numbers = [abs(a - b) for pair in pairs for a, b in zip(*map(_numbers, pair), strict=True)]
    return {
        "rows in a mixed batch": len(pairs),
        "of these, answers that differ from those one by one": sum(a.label != b.label for a, b in pairs),
        "largest difference of a probability or number": max(numbers),
    }


def _numbers(one: Prediction) -> list[float]:
    """What is told in numbers of an answer; labels in a fixed order."""
    value = [] if one.value is None else [one.value]
    return [*value, *(one.probabilities[name] for name in sorted(one.probabilities))]


if __name__ == "__main__":
    main()
