"""Experts mixed in every token, beside the best router that sends each text to one of them, and beside one
LoRA of as many parameters: perplexity on the test rows of several tasks to write.

    python -m benchmarks.soft_token [--data FOLDER] [--tasks e2e_nlg common_gen] [--seeds 0 1 2] [--rows 250]
                                    [--test-rows 100] [--epochs 3] [--rank 4] [--work DIR] [--json]

`FOLDER` holds one folder a task, each with `train.csv` and one of `test.csv` or `validation.csv`, which is
used as test; a tenth of the train rows chooses. On the rows of each task a `lora` of that rank is trained;
then, on all rows together:

- `own expert`: each row by the expert of its own task (oracle routing); `closed_form`, `noisy_top1`: by the
  one that the router sends it to;
- `soft_token, frozen`: a gate over the experts as they are; `soft_token, joint`: gate and experts;
- `one lora`: of the ranks added up, trained from nothing for the epochs of experts and mixture together.

Perplexity is over all tokens of all targets. Everything is kept in homes below `--work`, so that a second
call goes on where the first one stopped.
"""

import argparse
import csv
import json
from collections.abc import Sequence
from math import exp
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import measure
from benchmarks.samples import held_out, sample
from registry import Expert, Registry
from trainer import kinds
from trainer.base_model import BaseModel
from trainer.data import Row
from trainer.dataset_features import inputs
from trainer.encoding import encode
from trainer.mixture_settings import MixtureSettings
from trainer.pipeline import ExpertSettings, TrainedMixture, add_task, train_mixture
from trainer.pipeline.archive import Archive
from trainer.pipeline.fitting import PoolExamples, pool_reading
from trainer.prompts import read_rows
from trainer.routers import Features
from trainer.thawing import thawed
from trainer.trainee import outputs

TASKS = ("e2e_nlg", "common_gen")
ROUTERS = ("closed_form", "noisy_top1")
ORACLE, FROZEN, JOINT, ONE = "own expert", "soft_token, frozen", "soft_token, joint", "one lora"


def main() -> None:
    """Measure what is not measured yet, and print the report."""
    options = arguments()
    measure.set_threads(options.threads)
    base = BaseModel.load(options.base_model)
    found = [run(base, seed, options) for seed in options.seeds]
    report = measure.Report("experts mixed in every token")
    for name in found[0]:
        perplexity = measure.spread([one[name]["perplexity"] for one in found])
        line = {"answered by": name, "parameters": found[0][name]["parameters"], "perplexity": perplexity}
        report.table.append(
            line | {f"seed {s}": one[name]["perplexity"] for s, one in zip(options.seeds, found, strict=True)}
        )
    best = [min(one[name]["perplexity"] for name in ROUTERS) for one in found]
    for name, under in ((FROZEN, best), (JOINT, [one[FROZEN]["perplexity"] for one in found])):
        ratios = [one[name]["perplexity"] / other for one, other in zip(found, under, strict=True)]
        against = "the best top-1 router" if name == FROZEN else FROZEN
        report.ratios[f"{name}, over {against}"] = measure.spread(ratios).median
    report.notes.append(
        f"{options.base_model}; {options.rows} rows of train a task, validation among them, "
        f"{options.test_rows} of test; {options.epochs} epochs each; seeds "
        f"{', '.join(map(str, options.seeds))}; median and quartiles."
    )
    report.show(as_json=options.json)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = measure.parser(__doc__)
    measure.add_tasks(parser, TASKS, rows=250, test_rows=100)
    parser.add_argument("--epochs", type=int, default=3, help="of each training, at most")
    parser.add_argument("--rank", type=int, default=4, help="of each expert")
    return parser.parse_args()


def run(base: BaseModel, seed: int, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """All ways of one seed: found, or measured now."""
    names = "-".join(options.tasks)
    folder = (
        options.work
        / "soft_token"
        / (f"{names}-{seed}-{options.rows}-{options.test_rows}-{options.epochs}-{options.rank}")
    )
    kept = folder / "found.json"
    if kept.exists():
        known: dict[str, dict[str, float]] = json.loads(kept.read_text())
        return known
    with Registry(folder / "home") as registry:
        rows = [divided(task, seed, folder, options) for task in options.tasks]
        experts = [learn(registry, base, path, options.rank, options.epochs, seed) for path in rows]
        corpus = joined(rows, folder / "corpus.csv")
        found = routed(registry, base, experts, corpus, seed)
        adapters = sum(expert.parameters for expert in experts)
        for name, frozen in ((FROZEN, True), (JOINT, False)):
            settings = MixtureSettings(freeze_experts=frozen, epochs=options.epochs, seed=seed)
            made = train_mixture(
                registry, corpus, experts=[one.name for one in experts], base_model=base, settings=settings
            )
            found[name] = mixed(made, adapters)
            measure.tell(json.dumps({"seed": seed, name: found[name]}))
        single = learn(registry, base, corpus, options.rank * len(rows), 2 * options.epochs, seed)
        found[ONE] = scores(single.parameters, surprises(registry, base, single, test_rows(corpus)))
    kept.write_text(json.dumps(found))
    measure.tell(json.dumps({"seed": seed, **found}))
    return found


def divided(task: str, seed: int, folder: Path, options: argparse.Namespace) -> Path:
    """The rows of a task with the split of each."""
    source, target = options.data / task, folder / "rows" / f"{task}.csv"
    learnt = sample(source / "train.csv", options.rows, folder / "rows" / f"{task}-train.csv", seed=seed)
    test = sample(held_out(source), options.test_rows, folder / "rows" / f"{task}-test.csv")
    with target.open("w", newline="", encoding="utf-8") as to:
        writer = csv.writer(to, lineterminator="\n")
        writer.writerow(["text", "target", "split"])
        for place, row in enumerate(read(learnt)):
            writer.writerow([row["text"], row["target"], "validation" if place % 10 == 9 else "train"])
        writer.writerows([row["text"], row["target"], "test"] for row in read(test))
    return target


def joined(paths: Sequence[Path], target: Path) -> Path:
    """The rows of several files, in turn."""
    rows = [row for path in paths for row in read(path)]
    with target.open("w", newline="", encoding="utf-8") as to:
        writer = csv.DictWriter(to, ["text", "target", "split"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return target


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_rows(path: Path) -> list[Row]:
    """The test rows of a file."""
    return [
        Row({"text": row["text"], "target": row["target"]}, "test")
        for row in read(path)
        if row["split"] == "test"
    ]


def learn(registry: Registry, base: BaseModel, path: Path, rank: int, epochs: int, seed: int) -> Expert:
    """A LoRA of the rows of a file: found, or trained now."""
    settings = ExpertSettings(adapter="lora", rank=rank, epochs=epochs, seed=seed)
    return add_task(registry, path, base_model=base, settings=settings).expert


def surprises(registry: Registry, base: BaseModel, expert: Expert, rows: Sequence[Row]) -> Tensor:
    """`(rows, 2)`: the surprise of each target under an expert, and its tokens."""
    module = thawed(registry, base, expert)
    length = module.architecture.max_length
    tokens = read_rows(base, module.architecture, rows)
    encoding = encode(base, inputs(rows), layers=(1,), max_length=length, tokens=tokens)
    return outputs(module, encoding, range(len(rows)))


def routed(
    registry: Registry, base: BaseModel, experts: Sequence[Expert], corpus: Path, seed: int
) -> dict[str, dict[str, float]]:
    """Each test row by its own expert, and by that which a router sends it to."""
    rows = test_rows(corpus)
    each = torch.stack([surprises(registry, base, expert, rows) for expert in experts])
    own = torch.arange(len(experts)).repeat_interleave(len(rows) // len(experts))
    one = experts[0].parameters
    found = {ORACLE: scores(one, each[own, range(len(rows))])}
    reading = pool_reading(registry, experts, "one")
    archive = Archive(registry)
    examples = [PoolExamples(archive, experts, split, reading) for split in ("train", "validation")]
    states = encode(base, inputs(rows), layers=reading.layers, max_length=reading.max_length).features
    for kind in ROUTERS:
        module = kinds.load("routers", kind)
        router = module.fit(module.Config(), *examples, len(experts), seed)
        with torch.no_grad():
            slots = router(Features(states, None)).slots[:, 0]
        found[kind] = scores(one, each[slots, range(len(rows))])
        found[kind]["routing_accuracy"] = (slots == own).double().mean().item()
    return found


def scores(parameters: int, found: Tensor) -> dict[str, float]:
    """The perplexity of some targets."""
    surprise, tokens = found.double().sum(0).tolist()
    return {"parameters": parameters, "perplexity": exp(surprise / tokens)}


def mixed(made: TrainedMixture, adapters: int) -> dict[str, Any]:
    """What was measured of a mixture."""
    return {
        "parameters": adapters + made.generation.parameters,
        "perplexity": made.metrics["test"]["perplexity"],
        "validation": [one["validation_perplexity"] for one in made.history],
    }


if __name__ == "__main__":
    main()
