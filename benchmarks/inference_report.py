"""What `inference.py` tells of its batches: the ratios that targets are set for, the floor, the picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.measure import Report, Runs, spread
from trainer.base_model import BaseModel
from trainer.tokens import Batch

COLUMN = "a batch of 32"
PEFT = {
    "PEFT 16, same layers": "peft_over_routed_16",
    "PEFT 16, all layers": "peft_over_routed_16_all_layers",
}


def tell_batches(report: Report, runs: Runs, sizes: Sequence[int]) -> None:
    """Add what each competitor took, and its ratios to the bare model and to ours."""
    few, many = min(sizes), max(sizes)
    for name, seconds in runs.items():
        report.table.append(
            {
                COLUMN: name,
                "ms": spread([1000 * one for one in seconds]),
                "times bare": measure.ratio(runs, name, "bare"),
                "times routed": measure.ratio(runs, name, f"routed {few}"),
            }
        )

    def median(above: str, below: str) -> float:
        return measure.ratio(runs, above, below).median

    for size in sizes:
        report.ratios[f"routed_over_bare_{size}"] = median(f"routed {size}", "bare")
        for name, key in (("as published", "paper"), ("spared", "paper_spared")):
            report.ratios[f"{key}_over_routed_{size}"] = median(f"paper {size}, {name}", f"routed {size}")
    report.ratios[f"routed_{many}_over_{few}"] = median(f"routed {many}", f"routed {few}")
    for name, key in PEFT.items():
        report.ratios[key] = median(name, f"routed {few}")


def floor(base: BaseModel, ready: Sequence[Batch], module: Any) -> dict[str, Any]:
    """What a batch costs at least, counted: every weight of a layer is multiplied and added once a token."""
    tokens = spread([float(batch.ids.numel()) for batch in ready]).median
    layers = sum(parameter.numel() for name, parameter in base.model.named_parameters() if "layers." in name)
    factors = sum(part.numel() for parts in module.visitor().parts.values() for part in parts.values())
    rows = len(ready[0].ids)
    return {
        "tokens of a batch, padding included": tokens,
        "GFLOP of the bare layers": 2 * tokens * layers / 1e9,
        "GFLOP added by one expert a text": 2 * tokens * factors / 1e9,
        "MB of the bare layers": 4 * layers / 1e6,
        f"MB gathered for {rows} experts": 4 * rows * factors / 1e6,
    }


def draw(report: Report, path: Path | None) -> None:
    """Time of a batch by number of experts."""
    medians = {row[COLUMN]: row["ms"].median for row in report.table if COLUMN in row}
    if not medians:
        return
    with measure.drawing(path, title="A mixed batch of 32 texts", across="experts", up="ms") as axes:
        for label, ending in (("routed", ""), ("paper", ", as published")):
            sizes = [int(name.split()[1].rstrip(",")) for name in medians if name.startswith(label)]
            sizes = sorted({*sizes})
            axes.plot(sizes, [medians[f"{label} {size}{ending}"] for size in sizes], "o-", label=label)
        for place, name in enumerate(("bare", *PEFT), 2):
            dashes = (4 * place, (4, 4))
            axes.axhline(medians[name], linestyle=dashes, color=f"C{place}", label=name)
        axes.set_ylim(bottom=0)
        axes.legend()
