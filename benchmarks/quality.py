"""Test accuracy of experts on real tasks, beside what they must beat, and of the router over them.

For each task: the majority class, a logistic probe on the frozen model's pooled final states, `tt_lora`, and
`lora` of rank 16 trained by the same loop. Then one router over the `tt_lora` experts. All choices are made
on validation rows carved out of train; the test file is only read to report. Everything is kept in homes
below `--work`, so a second call goes on where the first one stopped.

    python -m benchmarks.quality --data FOLDER [--base-model smollm2-135m] [--rows 1500] [--json]

`FOLDER` holds one folder a task, each with `train.csv` and one of `test.csv` or `validation.csv`, which is
used as test.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.measure import add_data
from benchmarks.samples import sample
from registry import Expert, Registry
from trainer.base_model import BaseModel
from trainer.dataset_features import inputs, rows_of
from trainer.encoding import EVALUATION_BATCH, by_length
from trainer.pipeline import ExpertSettings, add_task, retrain_router
from trainer.tasks import classification
from trainer.visitors import pool

TASKS = ("trec", "sst2", "cola", "sick", "mrpc", "ag_news")
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data(parser)
    parser.add_argument("--work", type=Path, required=True, help="folder for homes and samples")
    parser.add_argument("--base-model", default="smollm2-135m")
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--rows", type=int, help="train rows of each task, drawn at random; all by default")
    parser.add_argument("--adapters", nargs="+", default=("tt_lora", "lora"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    base = BaseModel.load(options.base_model)
    table = {task: {"task": task} for task in options.tasks}
    report: dict[str, Any] = {"base_model": options.base_model, "rows": options.rows, "seed": options.seed}
    for adapter in options.adapters:
        registry = Registry(options.work / f"home-{adapter}-{options.seed}")
        for task in options.tasks:
            measure(registry, base, task, adapter, options, table[task])
        if adapter == "tt_lora":
            report["router"] = route(registry, options.seed)
    report["tasks"] = list(table.values())
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        show(report)


def measure(
    registry: Registry,
    base: BaseModel,
    task: str,
    adapter: str,
    options: argparse.Namespace,
    row: dict[str, Any],
) -> None:
    """Train one expert and note its figures; the yardsticks are measured with the first adapter."""
    folder = options.data / task
    test = next(path for path in (folder / "test.csv", folder / "validation.csv") if path.exists())
    train = sample(folder / "train.csv", options.rows, options.work / f"{task}.csv", seed=options.seed)
    added = add_task(
        registry,
        train,
        name=task,
        test=test,
        base_model=base,
        settings=ExpertSettings(adapter=adapter, seed=options.seed),
    )
    row[adapter] = added.metrics["test"]["accuracy"]
    row[f"{adapter}_parameters"] = added.expert.parameters
    row[f"{adapter}_seconds"] = registry.run(added.expert.run).seconds
    if "majority" not in row:
        row |= yardsticks(registry, base, added.expert, options.work / f"probe-{task}-{options.seed}.json")
    print(json.dumps(row), file=sys.stderr, flush=True)


def yardsticks(registry: Registry, base: BaseModel, expert: Expert, kept: Path) -> dict[str, float]:
    """Majority class and logistic probe, on test."""
    if kept.exists():
        found: dict[str, float] = json.loads(kept.read_text())
        return found
    data = rows_of(registry, registry.dataset(expert.task, expert.dataset), expert.kind)
    features = final_states(base, [sequence for one in inputs(data.rows) for sequence in one.sequences])[
        :, base.pooling
    ]
    head = classification.head(base.hidden, expert.labels)
    right = classification.targets(head, data.rows, expert.labels)
    places = {
        split: [place for place, row in enumerate(data.rows) if row.split == split]
        for split in ("train", "validation", "test")
    }
    most_common = Counter(right[places["train"]].tolist()).most_common(1)[0][0]
    found = {
        "majority": (right[places["test"]] == most_common).double().mean().item(),
        "probe": probe(features, right, places),
    }
    kept.write_text(json.dumps(found))
    return found


def final_states(base: BaseModel, texts: list[tuple[str, str | None]]) -> Tensor:
    """Pooled final states of the frozen model, `(rows, 2, hidden)`."""
    tokens = base.tokenize(texts, ExpertSettings().max_length)
    found = torch.empty(len(tokens), 2, base.hidden)
    with torch.no_grad():
        for rows in by_length([len(one.ids) for one in tokens], EVALUATION_BATCH):
            batch = base.batch([tokens[row] for row in rows])
            found[rows] = pool(base.forward(batch), batch.mask).cpu()
    return found


def probe(features: Tensor, right: Tensor, places: dict[str, list[int]]) -> float:
    """Test accuracy of logistic regression on standardised features; validation picks the penalty."""
    train = features[places["train"]]
    standard = (features - train.mean(0)) / train.std(0).clamp_min(1e-6)
    scores = []
    for penalty in PENALTIES:
        weight = torch.zeros(int(right.max()) + 1, features.shape[1], requires_grad=True)
        bias = torch.zeros(len(weight), requires_grad=True)
        optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

        def closure(
            penalty: float = penalty,
            weight: Tensor = weight,
            bias: Tensor = bias,
            optimizer: torch.optim.LBFGS = optimizer,
        ) -> Tensor:
            optimizer.zero_grad()
            logits = standard[places["train"]] @ weight.T + bias
            loss = (
                functional.cross_entropy(logits, right[places["train"]]) + penalty / 2 * weight.square().sum()
            )
            loss.backward()
            return loss

        optimizer.step(closure)
        hits = (standard @ weight.T + bias).argmax(-1) == right
        scores.append(tuple(hits[places[split]].double().mean().item() for split in ("validation", "test")))
    return max(scores)[1]


def route(registry: Registry, seed: int) -> dict[str, Any]:
    """Fit the router over all experts, and the lexical baseline beside it."""
    lexical = retrain_router(registry, router="lexical", seed=seed, promote=False)
    fitted = retrain_router(registry, seed=seed)
    return {
        "generation": fitted.generation.name,
        "router": fitted.generation.router,
        "candidates": fitted.candidates,
        "test": fitted.metrics["test"],
        "lexical": lexical.metrics["test"],
        "per_task": fitted.per_task,
        "confusion": fitted.confusion,
        "seconds": fitted.seconds,
    }


def show(report: dict[str, Any]) -> None:
    """The table as Markdown."""
    columns = [
        "task",
        "majority",
        "probe",
        "tt_lora",
        "lora",
        "tt_lora_parameters",
        "lora_parameters",
        "tt_lora_seconds",
    ]
    print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns))
    for row in report["tasks"]:
        cells = [row.get(name, "") for name in columns]
        print(
            "| "
            + " | ".join(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells)
            + " |"
        )
    print(json.dumps(report.get("router"), indent=2))


if __name__ == "__main__":
    main()
