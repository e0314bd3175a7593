"""What each adapter kind costs in a mixed batch, beside the bare forward: 32 rows for 16 experts of the kind,
and for 16 of all kinds in turn.

    python -m benchmarks.adapters [--data FOLDER] [--base-model minilm-l6] [--rows 32] [--experts 16 64]
                                  [--lengths 16 128] [--repeats 10] [--work DIR] [--json]

Experts hold random numbers: what they cost does not depend on what they learned. Rows are real, each with
another expert than the one before, and cut or repeated to the same number of tokens. Everything is read
before a clock runs; each kind takes its default rank and linear layers.
"""

import argparse
from collections.abc import Callable, Sequence

import torch

from benchmarks import measure
from benchmarks.mixtures import mixed_rows, publish_untrained
from registry import Expert, Registry
from trainer import kinds
from trainer.bank import Bank
from trainer.base_model import BaseModel
from trainer.experts import design
from trainer.loans import Loan
from trainer.pool import Chosen
from trainer.thawing import fetched
from trainer.tokens import Batch


def main() -> None:
    """Measure, and print the report."""
    options = arguments()
    measure.set_threads(options.threads)
    base = BaseModel.load(options.base_model, device=options.device)
    report = measure.Report("adapter kinds in a mixed batch")
    names = kinds.names("adapters")
    with Registry(options.work / "adapters" / base.record.name) as registry:
        pools = {
            (name, count): experts(registry, base, [name] * count if name in names else turns(names, count))
            for count in options.experts
            for name in [*names, "all in turn"]
        }
        for length in options.lengths:
            measure_length(report, registry, base, pools, length, options)
    report.notes.append(
        f"{base.record.name}; {options.rows} rows of so many tokens; medians and quartiles over "
        f"{options.repeats} rounds; ratios round by round."
    )
    report.show(as_json=options.json)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = measure.parser(__doc__)
    measure.add_data(parser)
    parser.add_argument("--base-model", default="minilm-l6")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--experts", type=int, nargs="+", default=[16])
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 128])
    return parser.parse_args()


def turns(names: Sequence[str], count: int) -> list[str]:
    """So many of the names, one after the other."""
    return [names[place % len(names)] for place in range(count)]


def experts(registry: Registry, base: BaseModel, adapters: Sequence[str]) -> list[Expert]:
    """One expert of each adapter kind named; those that are missing are made."""
    known = {expert.task: expert for expert in registry.experts()}
    found = []
    for place, adapter in enumerate(adapters):
        task = f"{adapter}-{place:03d}"
        if task not in known:
            architecture = design(
                base,
                task_kind="classification",
                labels=("no", "yes"),
                adapter=adapter,
                preset="default",
                rank=None,
                alpha=None,
                first_layer=None,
                max_length=128,
            )
            known[task] = publish_untrained(registry, base, task, architecture, place, spread=0.01)
        found.append(known[task])
    return found


def batch_of(base: BaseModel, options: argparse.Namespace, length: int) -> Batch:
    """Real rows, all of the same number of tokens."""
    texts = [
        " ".join([text if pair is None else f"{text} {pair}"] * length)
        for text, pair in mixed_rows(options.data, options.rows)
    ]
    return base.batch(base.tokenize(texts, length))


def measure_length(
    report: measure.Report,
    registry: Registry,
    base: BaseModel,
    pools: dict[tuple[str, int], list[Expert]],
    length: int,
    options: argparse.Namespace,
) -> None:
    """Time all pools and the bare forward, run by run in turns."""
    batch = batch_of(base, options, length)
    runs: dict[str, Callable[[], object]] = {"bare": lambda: forward(base, batch)}
    for (name, count), pool in pools.items():
        bank = Bank(base, pool, lambda expert: fetched(registry.blobs, expert), 1 << 30)
        slots = [row % count for row in range(options.rows)]
        runs[f"{name}, {count} experts"] = lambda bank=bank, slots=slots: mixed(base, batch, bank, slots)
    seconds = measure.interleave(runs, options.repeats, name=f"{length} tokens")
    sizes = {f"{name}, {count} experts": pool for (name, count), pool in pools.items()}
    for name in runs:
        pool = sizes.get(name, [])
        report.table.append(
            {
                "tokens": length,
                "experts": name,
                "parameters": round(sum(one.parameters for one in pool) / len(pool)) if pool else None,
                "bytes": round(sum(one.bytes for one in pool) / len(pool)) if pool else None,
                "ms": measure.spread([1000 * second for second in seconds[name]]),
                "over bare": measure.ratio(seconds, name, "bare"),
            }
        )


@torch.no_grad()
def forward(base: BaseModel, batch: Batch) -> None:
    """The base model alone."""
    base.forward(batch)


@torch.no_grad()
def mixed(base: BaseModel, batch: Batch, bank: Bank, slots: Sequence[int]) -> None:
    """Each row with its own expert, as after an earlier pass that has routed."""
    with Loan(bank) as loan:
        loan.take(slots)
        base.forward(batch, Chosen(loan))


if __name__ == "__main__":
    main()
