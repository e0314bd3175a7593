"""How fast a mixed batch is answered: ours beside the bare base model, PEFT, and the paper's own form.

    python -m benchmarks.inference [--data FOLDER] [--experts 16 512 1024] [--repeats 10] [--json]

`FOLDER` holds one folder a task with a `train.csv`. Batches of 32 rows of as many tasks, padded the same for
all, take turns run by run. What each competitor is, and what it is spared, stands at the top of its file
(`paper.py`, `mixed_lora.py`, `mixtures.py`). `docs/performance.md` explains the figures.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import AutoModel

from benchmarks import measure, mixtures
from benchmarks.inference_report import draw, floor, tell_batches
from benchmarks.measure import Report, spread, tell
from benchmarks.mixed_lora import MixedLora
from benchmarks.paper import PaperMoE, published
from registry import Generation
from trainer import denormals, sources
from trainer.base_model import BaseModel
from trainer.inputs import Input
from trainer.loans import Loan
from trainer.moe import MoE
from trainer.predictions import Asked
from trainer.thawing import thawed
from trainer.tokens import Batch

BATCH = 32
PEFT_EXPERTS = 16
LOADS = 200
WARM_UP = 2


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = measure.parser(__doc__)
    measure.add_data(parser)
    parser.add_argument("--base-model")
    parser.add_argument("--experts", type=int, nargs="+", default=[16, 512, 1024])
    parser.add_argument("--rows", type=int, default=10_000, help="rows of the file that is answered whole")
    parser.add_argument("--parts", nargs="+", default=["batches", "file", "pool", "shell"])
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    measure.set_threads(options.threads)
    bench = Bench(options)
    if options.memory_of is not None:
        print(bench.memory_with(options.memory_of))
        return
    for part in options.parts:
        getattr(bench, part)()
    bench.report.show(as_json=options.json)
    draw(bench.report, options.plot)


class Bench:
    """One run of the benchmark: what is needed is made once, and each part adds to the report."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.report = options, Report("Inference")
        self.base = BaseModel.load(options.base_model)
        asked = max(max(options.experts) + BATCH, (options.repeats + WARM_UP) * BATCH)
        self.rows = mixtures.mixed_rows(options.data, max(asked, options.rows))
        self.registry, made = mixtures.home(
            options.work / f"mixture-{self.base.record.name}", self.base, options.experts, self.rows[:asked]
        )
        self.generations: dict[int, Generation] = dict(zip(options.experts, made, strict=True))

    def batches(self) -> None:
        """The same batches by everybody, run by run in turns."""
        count = self.options.repeats + WARM_UP
        given = [self.rows[start : start + BATCH] for start in range(0, count * BATCH, BATCH)]
        tokens = [self.base.tokenize(rows, mixtures.MAX_LENGTH) for rows in given]
        ready = [self.base.batch(one) for one in tokens]
        asked = [
            Asked.read(self.base, [Input.of(row) for row in rows], mixtures.MAX_LENGTH) for rows in given
        ]
        competitors: dict[str, Callable[[int], object]] = {"bare": _bare(self.base, ready)}
        for size, generation in self.generations.items():
            moe = MoE.load(self.registry, generation.name, base=self.base)
            competitors[f"routed {size}"] = lambda turn, moe=moe: moe._answer(asked[turn], None)
        self._add_peft(competitors, ready)
        self._add_paper(competitors, ready)
        with denormals.flushed():
            runs = measure.interleave(
                {name: _in_turn(run) for name, run in competitors.items()},
                self.options.repeats,
                warm_up=WARM_UP,
                name="batches",
            )
        tell_batches(self.report, runs, self.options.experts)
        self.report.floor |= floor(self.base, ready, self._experts(1)[0])

    def _add_peft(self, competitors: dict[str, Callable[[int], object]], ready: Sequence[Batch]) -> None:
        modules = self._experts(PEFT_EXPERTS)
        slots = [place % len(modules) for place in range(BATCH)]
        for name, first in (("same layers", modules[0].architecture.first_layer), ("all layers", 0)):
            mixed = MixedLora(self.base, modules, first=first)

            def run(turn: int, mixed: MixedLora = mixed) -> None:
                competitors["bare"](turn)
                mixed.run(ready[turn], slots)

            competitors[f"PEFT {PEFT_EXPERTS}, {name}"] = run

    def _add_paper(self, competitors: dict[str, Callable[[int], object]], ready: Sequence[Batch]) -> None:
        for size in self.options.experts:
            modules = self._experts(size)
            forms = {"as published": published(self.base, size), "spared": PaperMoE(self.base, modules)}
            for name, form in forms.items():
                competitors[f"paper {size}, {name}"] = lambda turn, form=form: form.answer(ready[turn])
            if size == min(self.options.experts):
                dense = PaperMoE(self.base, modules, reconstruct=True)
                competitors[f"paper {size}, reconstruction"] = lambda turn, form=dense: form.answer(
                    ready[turn]
                )

    def _experts(self, count: int) -> list[Any]:
        generation = self.generations[max(self.options.experts)]
        found = self.registry.experts(names=generation.experts[:count])
        return [thawed(self.registry, self.base, expert) for expert in found]

    def file(self) -> None:
        """A file in arrival order: ours from text to answer, the bare model from padded tokens to states."""
        moe = MoE.load(self.registry, self.generations[min(self.options.experts)].name, base=self.base)
        slices = self.options.repeats
        size = self.options.rows // slices
        parts = [self.rows[start : start + size] for start in range(0, size * slices, size)]
        tokens = [self.base.tokenize(part, mixtures.MAX_LENGTH) for part in parts]
        bare = AutoModel.from_pretrained(
            sources.resolve(self.base.record.spec).folder, dtype=torch.float32
        ).eval()

        def padded(turn: int) -> None:
            for start in range(0, size, BATCH):
                _forward(bare, self.base.batch(tokens[turn][start : start + BATCH]))

        def stream(turn: int) -> None:
            assert len(list(moe.stream(parts[turn]))) == size

        with denormals.flushed():
            runs = measure.interleave(
                {"bare": _in_turn(padded), "routed": _in_turn(stream)}, slices, warm_up=0, name="file"
            )
        for name, seconds in runs.items():
            self.report.table.append(
                {
                    "a file": f"{name}, {size * slices:,} rows",
                    "rows/s": spread([size / one for one in seconds]),
                }
            )
        self.report.ratios["file_rows_over_bare"] = sum(runs["bare"]) / sum(runs["routed"])

    def pool(self) -> None:
        """Memory with few and with many experts, each size in a process of its own; and reading one."""
        few, many = min(self.options.experts), max(self.options.experts)
        found = {size: self._memory_elsewhere(size) for size in (few, many)}
        for size, taken in found.items():
            self.report.table.append({"memory": f"{size} experts, texts to all", "MB": taken / 1e6})
        if many > few:
            self.report.ratios[f"bytes_per_expert_{few}_to_{many}"] = (found[many] - found[few]) / (
                many - few
            )
        seconds = self._loads()
        self.report.table.append(
            {"an expert": "from the store", "ms": spread([1000 * one for one in seconds])}
        )
        self.report.ratios["expert_load_ms"] = 1000 * spread(seconds).median
        file = self.registry.experts(names=self.generations[few].experts[:1])[0].bytes
        self.report.table.append({"an expert": "its file", "kB": file / 1000})

    def _memory_elsewhere(self, size: int) -> int:
        command = [sys.executable, "-m", "benchmarks.inference", "--memory-of", str(size), "--rows", "1"]
        command += ["--data", str(self.options.data), "--work", str(self.options.work)]
        command += ["--experts", *map(str, self.options.experts), "--repeats", str(self.options.repeats)]
        if self.options.base_model:
            command += ["--base-model", self.options.base_model]
        tell(f"memory with {size} experts")
        return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)

    def memory_with(self, size: int) -> int:
        """Bytes of this process after texts went to every expert."""
        moe = MoE.load(self.registry, self.generations[size].name, base=self.base)
        sent = {one.expert for one in moe.stream(self.rows[: max(self.options.experts)])}
        tell(f"answered by {len(sent)} experts")
        return measure.resident_bytes()

    def _loads(self) -> list[float]:
        """Seconds of reading single experts into places of others."""
        moe = MoE.load(self.registry, self.generations[max(self.options.experts)].name, base=self.base)
        seconds = []
        for slot in range(min(LOADS, len(moe.experts))):
            started = time.perf_counter()
            with Loan(moe.bank) as loan:
                loan.take([slot])
            seconds.append(time.perf_counter() - started)
        return seconds

    def shell(self) -> None:
        """`registry predict "text"` from a cold shell."""
        home = str(self.registry.home)
        name = self.generations[min(self.options.experts)].name
        command = [sys.executable, "-m", "ui.cli", "predict", "--home", home, "--router", name, "Is it so?"]
        wall, busy = [], []
        for _ in range(min(5, self.options.repeats)):
            before, started = _cpu_of_children(), time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            wall.append(time.perf_counter() - started)
            busy.append(_cpu_of_children() - before)
        self.report.table.append({"a shell": "registry predict", "s": spread(wall), "CPU s": spread(busy)})
        self.report.ratios["cold_predict_seconds"] = spread(wall).median


def _in_turn(run: Callable[[int], object]) -> Callable[[], object]:
    """Each call takes the next batch."""
    turns = iter(range(10_000))
    return lambda: run(next(turns))


def _bare(base: BaseModel, ready: Sequence[Batch]) -> Callable[[int], object]:
    """The base model as transformers loads it, without our hooks."""
    model = AutoModel.from_pretrained(sources.resolve(base.record.spec).folder, dtype=torch.float32).eval()
    return lambda turn: _forward(model, ready[turn])


@torch.no_grad()
def _forward(model: Any, batch: Batch) -> None:
    model(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
