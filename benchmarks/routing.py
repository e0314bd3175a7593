"""How well routers choose among many tasks: on test rows as they lie in their files, and as people type.

    python -m benchmarks.routing [--data FOLDER] [--sizes 30 100 230] [--draws 3] [--routers NAME ...]
                                 [--base-model minilm-l6] [--rows 400] [--work DIR] [--json]

`FOLDER` holds one folder a task and a MANIFEST.csv; the rows are read once by `--base-model` and kept below
`--work`. Pools are drawn at random, `--draws` of each size. Of each pool every kind of router is fitted on
the rows as they are; the share of test rows that it sends to their own expert is measured on

- `as it is`: the text of the file;
- `set well`: spaces before punctuation closed, where a file was cut into words, and a capital to begin with;
- `typed in a hurry`: no capitals, nothing at the end;
- `half of it`: its first words, half of them and at least three.
"""

import argparse
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import pools
from benchmarks.measure import Report, parser, set_threads, spread, tell
from registry import Expert, Registry
from trainer import kinds
from trainer.base_model import BaseModel
from trainer.dataset_features import inputs
from trainer.encoding import encode
from trainer.inputs import Input, words
from trainer.pipeline.archive import Archive, Reading
from trainer.pipeline.fitting import PoolExamples, pool_reading
from trainer.routers import Features, fit_once, routing_accuracy

FIRST_WORDS = 3


def main() -> None:
    """Measure, and print a table or JSON."""
    options = arguments()
    set_threads(options.threads)
    report = Report("Routing among many tasks")
    base = BaseModel.load(options.base_model)
    with Registry(options.work / f"real-{base.record.name}-{options.rows}") as registry:
        if options.data is not None:
            pools.read(registry, base, options.data, max(options.sizes), options.rows)
        experts = registry.experts()
        if len(experts) < min(options.sizes):
            raise SystemExit(f"{registry.home} has {len(experts)} tasks: give --data to add some")
        archive, reading = Archive(registry, "cpu"), pool_reading(registry, experts, "one")
        asked = typed(archive, reading, base, experts)
        for size in options.sizes:
            draws = 1 if size >= len(experts) else options.draws
            found = [measured(archive, asked, drawn(experts, size, draw), options) for draw in range(draws)]
            report.table += rows(size, found)
    report.ratios = {
        f"{line['router']}_{line['tasks']}_tasks": line["as it is"].median for line in report.table
    }
    report.notes.append(
        f"{base.record.name}, at most {options.rows} rows a task; medians and quartiles over {options.draws} "
        "pools drawn at random; one pool where it has all tasks."
    )
    report.show(as_json=options.json)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    made = parser(__doc__)
    made.add_argument("--data", type=Path, help="folder of real rows, to make the home from")
    made.add_argument("--base-model", default="minilm-l6", help="reads the rows [default: minilm-l6]")
    made.add_argument("--rows", type=int, default=400, help="rows of a task [default: 400]")
    made.add_argument("--sizes", type=int, nargs="+", default=[30, 100, 230], help="numbers of tasks")
    made.add_argument("--draws", type=int, default=3, help="pools of each size [default: 3]")
    made.add_argument("--routers", nargs="+", default=kinds.names("routers"), help="[default: all]")
    return made.parse_args()


def set_well(text: str) -> str:
    """Without what cutting it into words has left."""
    text = re.sub(r" ([.,!?;:%)\]]|n't\b|'(?:s|re|ve|ll|d|m)\b)", r"\1", text)
    text = re.sub(r"([(\[]) ", r"\1", text)
    return text[:1].upper() + text[1:]


def hurried(text: str) -> str:
    """Without capitals and the mark at its end."""
    return re.sub(r"[.!?]+\s*$", "", text.lower()).strip() or text


def halved(text: str) -> str:
    """Its first half."""
    every = text.split()
    return " ".join(every[: max(FIRST_WORDS, len(every) // 2)])


WAYS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "set well": set_well,
    "typed in a hurry": hurried,
    "half of it": halved,
}


def typed(
    archive: Archive, reading: Reading, base: BaseModel, experts: Sequence[Expert]
) -> dict[str, dict[str, Features]]:
    """The test rows of each expert, by the way of typing them, as routers read them."""
    archive.look_up(experts, reading)
    found: dict[str, dict[str, Features]] = {way: {} for way in WAYS}
    for expert in experts:
        own = archive.rows(expert)
        test = inputs(own.take(own.places("test")))
        for way, change in WAYS.items():
            changed = [by(change, one) for one in test]
            states = encode(base, changed, layers=reading.layers, max_length=reading.max_length).features
            found[way][expert.name] = Features(states, words(changed))
    tell(f"the test rows of {len(experts)} tasks are read")
    return found


def by(change: Callable[[str], str], one: Input) -> Input:
    """An input with its texts changed."""
    return replace(one, text=change(one.text), pair=None if one.pair is None else change(one.pair))


def drawn(experts: Sequence[Expert], size: int, draw: int) -> list[Expert]:
    """A pool."""
    return random.Random(f"{size} {draw}").sample(list(experts), min(size, len(experts)))


def measured(
    archive: Archive,
    asked: Mapping[str, Mapping[str, Features]],
    pool: Sequence[Expert],
    options: argparse.Namespace,
) -> dict[str, dict[str, float]]:
    """The accuracy of each router kind on one pool, by the way of typing."""
    reading = pool_reading(archive.registry, pool, "one")
    training, validation, test = (
        PoolExamples(archive, pool, split, reading) for split in ("train", "validation", "test")
    )
    found: dict[str, dict[str, float]] = {}
    for kind in options.routers:
        module = kinds.load("routers", kind)
        router = fit_once(module, module.Config(), training, validation, len(pool), 0)
        found[kind] = {}
        for way, every in asked.items():
            own = [every[expert.name] for expert in pool]
            states = torch.cat([one.states for one in own if one.states is not None])
            features = Features(states, [text for one in own for text in one.texts or ()])
            with torch.no_grad():
                routing = test.takers.among(router(features), test.forms)
            found[kind][way] = routing_accuracy(routing, test.slots)
        tell(f"{len(pool)} tasks, {kind}: {found[kind]}")
    return found


def rows(size: int, found: Sequence[Mapping[str, Mapping[str, float]]]) -> list[dict[str, Any]]:
    """The lines of the table for one number of tasks."""
    return [
        {"tasks": size, "router": kind} | {way: spread([one[kind][way] for one in found]) for way in WAYS}
        for kind in found[0]
    ]


if __name__ == "__main__":
    main()
