"""What `benchmarks.training` makes of its trainings: table, ratios, interval of the accuracy, floor, plot."""

import argparse
import csv
import math
import statistics
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks import measure
from benchmarks.competitors import PEFT_RATE, Job
from trainer.encoding import shuffled_by_length

T_95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31}
"""Student's t for a 95 % interval, by degrees of freedom."""

LABELS = {"ours": "ours", "peft": "peft", "peft_grouped": "peft grouped"}


def pace(blocks: Sequence[dict[str, Any]], one: Job) -> dict[str, float]:
    """Rows a second over everything, by the clock and by processor time.

    Where training was broken off, the pass that comes before it counts with the share of all epochs that was
    done, and the first block of steps does not count: it warms up.
    """
    steps = [block for block in blocks if block["steps"]][0 if one.limit is None else 1 :]
    before = [block for block in blocks if not block["steps"] and block["what"] == "states"]
    after = [block for block in blocks if not block["steps"] and block["what"] == "end"]
    seen = sum(block["rows"] for block in steps)
    share = 1.0
    if one.limit is not None:
        with one.data.open(newline="", encoding="utf-8") as file:
            share = seen / (0.9 * (sum(1 for _ in csv.reader(file)) - 1) * one.epochs)
    return {
        f"rows_per_{clock}_s": seen
        / (share * sum(block[clock] for block in before) + sum(block[clock] for block in [*steps, *after]))
        for clock in ("wall", "processor")
    }


def summarise(report: measure.Report, found: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Table, ratios, floor and notes."""
    for who, k in dict.fromkeys((one["who"], one["k"]) for one in found):
        for task in options.tasks:
            own = [one for one in found if (one["who"], one["k"], one["task"]) == (who, k, task)]
            if own:
                report.table.append(row(own, options))
    ours, peft = ("ours", options.default_k), ("peft", 0)
    report.ratios["ours_over_peft_rows_per_s"] = ratio(found, ours, peft, "wall")
    report.ratios["ours_over_peft_rows_per_processor_s"] = ratio(found, ours, peft, "processor")
    for name, other in (("grouped", ("peft_grouped", 0)), ("upper", ("peft", options.default_k))):
        report.ratios[f"ours_over_peft_{name}_rows_per_s"] = ratio(found, ours, other, "wall")
        report.ratios[f"ours_over_peft_{name}_rows_per_processor_s"] = ratio(found, ours, other, "processor")
    report.ratios |= accuracy(found, ours, peft)
    report.floor = floor(options)
    report.notes += [
        f"Rows a second count all {options.epochs} epochs, the pass that reads the texts, and validation "
        "after each epoch; loading models and the test rows do not count.",
        f"PEFT: LoRA r 16, alpha 16, no dropout, rate {PEFT_RATE}, linear decay after 10 % warm-up.",
        "A ratio is the median over tasks and seeds; each pair was trained in turns.",
    ]
    if options.quick:
        report.notes.append(f"Quick: {options.steps} steps of one seed; no accuracy.")


def row(own: Sequence[dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    """One line of the table: a competitor on a task, over its seeds."""
    first = own[0]
    upper = first["who"] == "peft" and first["k"]
    made: dict[str, Any] = {
        "who": "peft upper" if upper else LABELS[first["who"]],
        "k": first["k"],
        "task": first["task"],
        "rows/s": measure.spread([one["rows_per_wall_s"] for one in own]),
        "rows/processor s": measure.spread([one["rows_per_processor_s"] for one in own]),
    }
    by_seed = {one["seed"]: one for one in own if "accuracy" in one}
    if by_seed:
        made["test accuracy"] = statistics.mean(one["accuracy"] for one in by_seed.values())
        made["seeds"] = len(by_seed)
        made["parameters"] = next(iter(by_seed.values()))["parameters"]
    return made


def ratio(
    found: Sequence[dict[str, Any]], above: tuple[str, int], below: tuple[str, int], clock: str
) -> float | None:
    """How many times the rows a second of `below` that `above` reached in the same group; the median."""
    groups: dict[str, dict[tuple[str, int], float]] = {}
    for one in found:
        groups.setdefault(one["group"], {})[one["who"], one["k"]] = one[f"rows_per_{clock}_s"]
    values = [paces[above] / paces[below] for paces in groups.values() if above in paces and below in paces]
    return statistics.median(values) if values else None


def accuracy(
    found: Sequence[dict[str, Any]], ours: tuple[str, int], peft: tuple[str, int]
) -> dict[str, float | None]:
    """By how many points ours is better on test: the mean over tasks and seeds, and its 95 % interval."""
    scores: dict[tuple[str, int], dict[tuple[str, int], float]] = {}
    for one in found:
        if "accuracy" in one:
            scores.setdefault((one["task"], one["seed"]), {})[one["who"], one["k"]] = one["accuracy"]
    points = [100 * (own[ours] - own[peft]) for own in scores.values() if ours in own and peft in own]
    if len(points) < 2:
        return {"ours_minus_peft_points": points[0] if points else None}
    middle = statistics.mean(points)
    around = T_95.get(len(points) - 1, 2.0) * statistics.stdev(points) / math.sqrt(len(points))
    return {
        "ours_minus_peft_points": middle,
        "ours_minus_peft_points_low": middle - around,
        "ours_minus_peft_points_high": middle + around,
    }


def floor(options: argparse.Namespace) -> dict[str, float]:
    """What must be computed, counted: products of the layers' weights with tokens, padding among them.

    Forward and backward through a frozen layer cost 2 FLOPs a weight and token each; below the first adapter
    there is no backward, and ours has no forward there either, but for one pass.
    """
    from transformers import AutoTokenizer

    from trainer import sources

    tokenizer = AutoTokenizer.from_pretrained(
        sources.resolve(options.base_model).folder, local_files_only=True
    )
    layers, k = options.layers, options.default_k
    found = {}
    for task in options.tasks:
        with (options.work / f"{task}-{options.rows}.csv").open(newline="", encoding="utf-8") as file:
            texts = ["\n".join(row[:-1]) for row in csv.reader(file)][1:]
        sizes = [min(len(ids), options.max_length) for ids in tokenizer(texts)["input_ids"]]
        generator = torch.Generator().manual_seed(0)
        shuffled = torch.randperm(len(sizes), generator=generator).tolist()
        size = options.batch_size
        at_random = [shuffled[at : at + size] for at in range(0, len(shuffled), size)]
        waste = {
            name: sum(max(sizes[row] for row in batch) * len(batch) for batch in batches) / sum(sizes)
            for name, batches in (
                ("ours", shuffled_by_length(sizes, size, generator)),
                ("peft", at_random),
            )
        }
        found[f"{task}: tokens a row"] = statistics.mean(sizes)
        found[f"{task}: padded over real tokens, ours"] = waste["ours"]
        found[f"{task}: padded over real tokens, peft"] = waste["peft"]
        ours = waste["ours"] * 2 * (layers - k) + k / options.epochs
        found[f"{task}: least work, peft over ours"] = waste["peft"] * 2 * layers / ours
    return found


def draw(found: Sequence[dict[str, Any]], options: argparse.Namespace) -> None:
    """How the choice of k moves rows a second and, where measured, accuracy."""
    with measure.drawing(
        options.plot, title="The choice of the first layer", across="first layer k", up="rows a second"
    ) as axes:
        accuracies = axes.twinx()
        accuracies.set_ylabel("test accuracy")
        for number, task in enumerate(options.tasks):
            own = sorted(
                {one["k"]: one for one in found if (one["who"], one["task"]) == ("ours", task)}.items()
            )
            color = f"C{number}"
            axes.plot(
                [k for k, _ in own], [one["rows_per_wall_s"] for _, one in own], "o-", color=color, label=task
            )
            scored = [(k, one["accuracy"]) for k, one in own if "accuracy" in one]
            accuracies.plot([k for k, _ in scored], [score for _, score in scored], "s--", color=color)
        axes.legend(title="solid: rows/s, dashed: accuracy")
