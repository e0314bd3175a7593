"""Whether a generation knows when no expert fits: real tasks that it never saw against those that it knows.

Pools of some tasks are drawn at random, and beside each some tasks that are held out. Scores of strangeness
are compared by AUROC (how often a row of a held-out task is stranger than a test row of a known one), and the
threshold by what it lets through of both. Tasks are held out of two halves: the score was chosen on the
`choosing` half, figures to report are those of the `reporting` half. Pooled states of real rows are read from
the home that `benchmarks.router` makes below `--work`; `--data` makes it.

`bound` is what a detector could tell that had seen so many rows of the held-out task, which no score has.

    python -m benchmarks.fits [--sizes 10 30 100] [--draws 6] [--seen 1 8 320] [--work DIR] [--data DIR]
                              [--json]
"""

import argparse
import math
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import pools
from benchmarks.bounds import Seen
from benchmarks.known import Known, Task
from benchmarks.measure import Report, parser, set_threads, spread, tell
from benchmarks.strangeness import OF_LOGITS, RIVALS, Rival
from registry import Registry
from trainer import familiarity, kinds
from trainer.base_model import BaseModel
from trainer.dataset_features import inputs
from trainer.fit_limits import COVERAGE
from trainer.inputs import words
from trainer.pipeline.archive import Archive
from trainer.pipeline.fitting import pool_reading
from trainer.routers import fit_once

HALVES = ("choosing", "reporting")
LIMIT = 0.9
"""AUROC that each held-out task is to reach."""

Scores = Mapping[str, Tensor]
"""By rows: `validation` and `test` of the known tasks, and each held-out task by its name."""

OWN = tuple(f"{kind}: as frozen" for kind in kinds.names("familiarity"))


def main() -> None:
    """Measure, and print a table or JSON."""
    options = arguments()
    set_threads(options.threads)
    tasks = read(options)
    report = Report("When no expert fits")
    found = [one for size in options.sizes for one in draws(tasks, size, options)]
    report.table = [*summed(found), *by_task(found)]
    own = [one for one in found if one["half"] == "reporting" and one["score"] in OWN]
    report.ratios = ratios(own, options)
    report.notes = notes(options, len(tasks))
    report.show(as_json=options.json)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, or what stands for it."""
    made = parser(__doc__)
    made.add_argument("--sizes", type=int, nargs="*", default=[10, 30, 100], help="tasks that are known")
    made.add_argument("--draws", type=int, default=6, help="pools of each size and half [default: 6]")
    made.add_argument("--held-out", type=int, default=5, help="tasks held out of each pool [default: 5]")
    made.add_argument("--coverage", type=float, default=COVERAGE, help="[default: 0.98]")
    made.add_argument("--rows", type=int, default=400, help="rows of a task [default: 400]")
    made.add_argument("--tasks", type=int, default=230, help="real tasks to have [default: 230]")
    made.add_argument("--data", type=Path, help="folder of real rows, to make the home from")
    made.add_argument(
        "--routers", nargs="+", default=["closed_form", "lexical", "late_fusion"], help="[default: all three]"
    )
    made.add_argument(
        "--rivals",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compare with other scores of states",
    )
    made.add_argument("--seen", type=int, nargs="*", default=[], help="rows that bounds may see")
    made.add_argument(
        "--apart", action="store_true", help="keep other tasks of a held-out one's collection out of its pool"
    )
    made.add_argument("--base-model", default="minilm-l6", help="reads the rows [default: minilm-l6]")
    return made.parse_args(given)


def read(options: argparse.Namespace) -> list[Task]:
    """The tasks of the home of real rows; made first where rows are given."""
    with Registry(options.work / f"real-{options.base_model}-{options.rows}") as registry:
        if options.data is not None and len(registry.tasks()) < options.tasks:
            base = BaseModel.load(options.base_model)
            pools.read(registry, base, options.data, options.tasks, options.rows)
        experts = registry.experts()[: options.tasks]
        if len(experts) < 2 * options.held_out:
            raise SystemExit(f"{registry.home} has {len(experts)} tasks: give --data to add some")
        archive, reading = Archive(registry, "cpu"), pool_reading(registry, experts, "one")
        archive.look_up(experts, reading)
        found = []
        for expert in experts:
            rows = archive.rows(expert)
            splits = ("train", "validation", "test")
            texts = {split: words(inputs(rows.take(rows.places(split)))) for split in splits}
            states = {split: archive.split(reading, rows, split) for split in splits}
            found.append(Task(expert.task, states, texts))
            tell(f"{len(found)} of {len(experts)} tasks are read")
        return found


def draws(tasks: Sequence[Task], size: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each half, draw, score and held-out task."""
    found = []
    for half, name in enumerate(HALVES):
        for draw in range(options.draws):
            chance = random.Random(f"{size} {name} {draw}")
            held = chance.sample(tasks[half::2], options.held_out)
            named = collection if options.apart else str
            out = {named(task.name) for task in held}
            pool = chance.sample([task for task in tasks if named(task.name) not in out], size)
            started = time.perf_counter()
            scores, sent = compare(pool, held, options.routers, RIVALS if options.rivals else {})
            each = [(score, of, [task.name for task in held]) for score, of in scores.items()]
            seen = Seen(pool)
            for task in held:
                sent[task.name] |= seen.apart(task)
                each += [
                    (f"bound: {count} rows seen", seen.scores(task, count), [task.name])
                    for count in options.seen
                ]
            found += [
                {"size": size, "half": name, "draw": draw, "score": score, **one, **sent[one["task"]]}
                for score, of, names in each
                for one in judged(of, names, options.coverage)
            ]
            tell(f"{size} tasks, {name}, draw {draw + 1}: {time.perf_counter() - started:.0f} s")
    return found


def collection(name: str) -> str:
    """Where a task comes from: tasks of one collection are called alike, and many of them are alike."""
    return name.partition("_")[0]


def judged(scores: Scores, held: Sequence[str], coverage: float) -> list[dict[str, Any]]:
    """AUROC of each held-out task, the share of its rows that the threshold refuses, and the share of known
    test rows that it lets through."""
    edge = familiarity.threshold(scores["validation"], coverage)
    edge = math.inf if edge is None else edge
    known = scores["test"]
    return [
        {
            "task": name,
            "auroc": auroc(known, scores[name]),
            "refused": (scores[name] > edge).double().mean().item(),
            "covered": (known <= edge).double().mean().item(),
        }
        for name in held
    ]


def auroc(known: Tensor, strange: Tensor) -> float:
    """How often a strange row has a larger score than a known one; half where they are equal."""
    ordered = known.double().sort().values
    below, up_to = (torch.searchsorted(ordered, strange.double(), right=right) for right in (False, True))
    return ((below + up_to).double() / 2 / len(ordered)).mean().item()


def compare(
    pool: Sequence[Task], held: Sequence[Task], routers: Sequence[str], rivals: Mapping[str, Rival]
) -> tuple[dict[str, Scores], dict[str, Any]]:
    """All scores of one pool, and of each held-out task where the first router sends most of its rows."""
    training, validation, test = (Known(pool, split) for split in ("train", "validation", "test"))
    rows = {"validation": validation.features, "test": test.features}
    rows |= {task.name: task.features("test") for task in held}
    found: dict[str, Scores] = {}
    sent: dict[str, Any] = {}
    for kind in routers:
        module = kinds.load("routers", kind)
        router = fit_once(module, module.Config(), training, validation, len(pool), 0)
        own_kind = familiarity.name_of(module.READS)
        own = kinds.load("familiarity", own_kind).fit(training, validation, len(pool))
        routed = {name: router(features) for name, features in rows.items()}
        found[f"{own_kind}: as frozen"] = {
            name: own(rows[name], routing).amin(-1) for name, routing in routed.items()
        }
        for what, score in OF_LOGITS.items():
            of = {name: score(routing.logits[:, 0]) for name, routing in routed.items()}
            found[f"{kind}: {what}"] = of
        if not sent:
            sent = {task.name: favourite(pool, routed[task.name].logits[:, 0]) for task in held}
    for what, rival in rivals.items():
        measure = rival(training)
        found[what] = {name: measure(features) for name, features in rows.items()}
    return found, sent


def favourite(pool: Sequence[Task], logits: Tensor) -> dict[str, Any]:
    """The known task that most rows are sent to, and their share."""
    counts = torch.bincount(logits.argmax(-1), minlength=len(pool))
    slot = int(counts.argmax())
    return {"nearest": pool[slot].name, "sent": counts[slot].item() / len(logits)}


def summed(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """By size and score: the mean AUROC on both halves, the rest on that to report; the best first."""
    table = []
    for size in dict.fromkeys(one["size"] for one in found):
        own = [one for one in found if one["size"] == size]
        rows = []
        for score in dict.fromkeys(one["score"] for one in own):
            chosen, told = ([o for o in own if (o["score"], o["half"]) == (score, half)] for half in HALVES)
            covered = list({one["draw"]: one["covered"] for one in told}.values())
            rows.append(
                {
                    "known tasks": size,
                    "score": score,
                    "AUROC, choosing": mean(chosen, "auroc"),
                    "AUROC, reporting": mean(told, "auroc"),
                    f"held-out tasks of at least {LIMIT}": sum(o["auroc"] >= LIMIT for o in told) / len(told),
                    "held-out rows refused": mean(told, "refused"),
                    "known rows answered": spread(covered),
                }
            )
        table += sorted(rows, key=lambda row: -row["AUROC, choosing"])
    return table


def by_task(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Held-out tasks of the half to report that states do not tell apart, and what they are taken for."""
    failing = [
        one for one in found
        if (one["half"], one["score"]) == ("reporting", OWN[0]) and one["auroc"] < LIMIT
    ]  # fmt: skip
    return [
        {
            "known tasks": one["size"],
            "held-out task": one["task"],
            "AUROC": one["auroc"],
            "rows refused": one["refused"],
            "taken for": one["nearest"],
            "share of rows": one["sent"],
            "nearest mean": one["sibling"],
            "squared distance of means": one["apart"],
            "spread of its rows": one["spread"],
        }
        for one in sorted(failing, key=lambda one: (one["size"], one["auroc"]))
    ]


def ratios(own: Sequence[Mapping[str, Any]], options: argparse.Namespace) -> dict[str, float | None]:
    """The figures that targets are set for."""
    found: dict[str, float | None] = {}
    for score in OWN:
        kind = score.partition(":")[0]
        for size in options.sizes:
            told = [one for one in own if (one["score"], one["size"]) == (score, size)]
            if not told:
                continue
            found[f"auroc_{kind}_{size}_tasks"] = mean(told, "auroc")
            apart = [abs(one["covered"] - options.coverage) for one in told]
            found[f"largest_distance_from_coverage_{kind}_{size}_tasks"] = max(apart)
    return found


def mean(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    """Of one column."""
    return sum(row[name] for row in rows) / len(rows)


def notes(options: argparse.Namespace, tasks: int) -> list[str]:
    """How it was measured."""
    return [
        __doc__ or "",
        f"{tasks} tasks of at most {options.rows} rows, read by {options.base_model}; {options.draws} pools "
        f"of each size and half, {options.held_out} tasks held out of each; threshold for a coverage of "
        f"{options.coverage:g}, fitted on validation rows; all figures are of test rows.",
    ]


if __name__ == "__main__":
    main()
