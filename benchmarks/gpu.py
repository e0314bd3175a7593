"""On a GPU: the paper's latency table done properly, routing over 1,024 experts, experts trained together.

    python -m benchmarks.gpu [--work DIR] [--json] [--device cuda] [--tiny]

The base model has the shapes of Llama-3.2-1B and random weights: how long it takes does not depend on what it
knows. Everything is synchronised, warm, interleaved, and told as medians. It runs on a CPU too, where only
`--tiny` ends soon; the report says on which device it ran.

- `latency`: one forward for batches of 2 to 128 texts with the paper's cores on q and v of all layers, in
  bfloat16: `bare`; `merged` into the weights; `factors`, the two thin matrices; `contraction` of the states
  with one core after the other; `reconstruction` of the whole matrix in each forward.
- `routed`: one pass that routes each text to one of 1,024 experts, from tokens to answers, beside the bare
  forward; both as the product runs on that device, in bfloat16 on a GPU.
- `training`: rows a second of 1, 4 and 16 experts in one training.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerFast

from benchmarks import measure, mixtures
from trainer import sources
from trainer.adapters import tt_lora
from trainer.base_model import BaseModel, default_first_layer
from trainer.data import Row
from trainer.encoding import Encoding, encode
from trainer.experts import Alone, ExpertModule, design
from trainer.forms import low_rank
from trainer.inputs import Input
from trainer.moe import MoE
from trainer.predictions import Asked
from trainer.settings import ExpertSettings
from trainer.tokens import Batch
from trainer.trainee import Split, Trainee
from trainer.training import train_together
from trainer.visitors import Visitor

LLAMA_1B = {
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 128_256,
    "max_position_embeddings": 131_072,
    "rope_theta": 500_000.0,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
}
TINY = LLAMA_1B | {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 1003,
    "max_position_embeddings": 512,
}
WORDS = 1000
LABELS = ("a", "b")

Run = Callable[[], object]


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = measure.parser(__doc__)
    parser.add_argument("--device", default="auto", help="cuda, cpu or auto")
    parser.add_argument("--tiny", action="store_true", help="a small base model and few experts")
    parser.add_argument("--length", type=int, default=128, help="tokens of a text")
    parser.add_argument("--batches", type=int, nargs="+", default=[2, 4, 8, 16, 32, 64, 128])
    parser.add_argument("--experts", type=int, default=1024, help="in the pool")
    parser.add_argument("--together", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--rows", type=int, default=512, help="of each expert that is trained")
    parser.add_argument("--parts", nargs="+", default=["latency", "routed", "training"])
    options = parser.parse_args()
    measure.set_threads(options.threads)
    base = load(options)
    report = measure.Report("GPU")
    shapes = "tiny" if options.tiny else "of the shapes of Llama-3.2-1B"
    report.notes.append(f"Ran on {base.device}; the base model is {shapes}.")
    for part in options.parts:
        {"latency": latency, "routed": routed, "training": training}[part](base, options, report)
    report.show(as_json=options.json)


def load(options: argparse.Namespace) -> BaseModel:
    """The base model, made on the first call."""
    folder = options.work / ("tiny-llama" if options.tiny else "llama-1b")
    if not (folder / "tokenizer.json").exists():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            config = LlamaConfig(**(TINY if options.tiny else LLAMA_1B), pad_token_id=0)
            LlamaModel(config).to(torch.bfloat16).save_pretrained(folder)
        tokenizer().save_pretrained(folder)
    return BaseModel(sources.resolve(str(folder)), options.device)


def tokenizer() -> PreTrainedTokenizerFast:
    """Words `w0` to `w999`, a token each."""
    vocabulary = {"<pad>": 0, "<end>": 1, "<unknown>": 2} | {f"w{n}": n + 3 for n in range(WORDS)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unknown>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"pad_token": "<pad>", "eos_token": "<end>", "unk_token": "<unknown>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **special)


def texts(count: int, length: int, seed: int = 0) -> list[str]:
    """Texts of random words, each of `length` tokens."""
    drawn = torch.randint(0, WORDS, (count, length), generator=torch.Generator().manual_seed(seed))
    return [" ".join(f"w{word}" for word in row) for row in drawn.tolist()]


def batch_of(base: BaseModel, count: int, length: int) -> Batch:
    """A batch without padding."""
    return base.batch(base.tokenize(texts(count, length), length))


class ByAdapter(Visitor):
    """Calls each place's adapter in the way to be measured."""

    def __init__(
        self,
        adapters: Mapping[tuple[int, str], tt_lora.Adapter],
        updated: Callable[[Any, Tensor, Tensor], Tensor],
    ) -> None:
        self.adapters, self.updated = adapters, updated

    def adapt(self, layer: int, module: str, x: Tensor, output: Tensor) -> Tensor | None:
        """The output with the update."""
        adapter = self.adapters.get((layer, module))
        return None if adapter is None else self.updated(adapter, x, output)


def paper_adapters(base: BaseModel) -> dict[tuple[int, str], tt_lora.Adapter]:
    """The paper's cores on q and v of all layers, in bfloat16."""
    config, generator = tt_lora.configure(preset="paper"), torch.Generator().manual_seed(0)
    return {
        (layer, module): tt_lora.Adapter(config, *size, generator, module).to(base.device, torch.bfloat16)
        for layer in range(base.layers)
        for module, size in base.targets(tt_lora.TARGETS).items()
    }


@contextmanager
def halved(base: BaseModel) -> Iterator[None]:
    """The base model in bfloat16, within the block."""
    base.model.to(torch.bfloat16)
    try:
        yield
    finally:
        base.model.to(torch.float32)


def beside_bare(
    report: measure.Report, options: argparse.Namespace, part: str, count: int, runs: Mapping[str, Run]
) -> measure.Runs:
    """Time what runs on one batch of `count` texts, in turns, and put it into the table."""
    seconds = measure.interleave(runs, options.repeats, name=f"{part}, batch {count}")
    report.table += [
        {
            "part": part,
            "batch": count,
            "form": name,
            "ms": measure.spread([1000 * second for second in seconds[name]]),
            "over bare": measure.ratio(seconds, name, "bare"),
        }
        for name in runs
    ]
    return seconds


@torch.no_grad()
def latency(base: BaseModel, options: argparse.Namespace, report: measure.Report) -> None:
    """One forward in each form, for each batch size."""
    adapters = paper_adapters(base)
    parts = {
        (layer, module): tt_lora.parts(one.config, *base.targets(tt_lora.TARGETS)[module], one.state_dict())
        for (layer, module), one in adapters.items()
    }
    forms: dict[str, Visitor | None] = {
        "bare": None,
        "factors": Alone(low_rank, parts),
        "contraction": ByAdapter(adapters, lambda adapter, x, output: adapter(x, output)),
        "reconstruction": ByAdapter(adapters, lambda adapter, x, output: output + x @ adapter.dense()),
    }
    with halved(base):
        for count in options.batches:
            batch = batch_of(base, count, options.length)
            runs: dict[str, Run] = {
                name: lambda visitor=visitor, batch=batch: base.forward(batch, visitor)
                for name, visitor in forms.items()
            }
            runs["merged"] = lambda batch=batch: base.forward(batch)
            seconds = beside_bare(report, options, "latency", count, runs)
            for name in ("factors", "reconstruction"):
                report.ratios[f"contraction_over_{name}_batch_{count}"] = measure.ratio(
                    seconds, "contraction", name
                ).median
    report.notes.append(
        "Merged runs the kernels of bare: the update is in the weights, which one expert at a time can have."
    )


@torch.no_grad()
def routed(base: BaseModel, options: argparse.Namespace, report: measure.Report) -> None:
    """One pass over many experts, beside the bare forward on the same batch."""
    rows: mixtures.Rows = [(text, None) for text in texts(max(64, options.experts), 32)]
    folder = options.work / f"mixture-{base.record.name}-{base.hidden}"
    registry, [generation] = mixtures.home(folder, base, [options.experts], rows)
    moe = MoE.load(registry, generation.name, base=base)
    for count in options.batches:
        given = [(text, None) for text in texts(count, min(options.length, mixtures.MAX_LENGTH), seed=1)]
        tokens = base.tokenize(given, mixtures.MAX_LENGTH)
        asked = Asked.read(base, [Input.of(row) for row in given], mixtures.MAX_LENGTH)
        batch = base.batch(tokens)
        runs: dict[str, Run] = {
            "bare": lambda batch=batch: base.forward(batch),
            "routed": lambda asked=asked: moe._answer(asked, None),
        }
        seconds = beside_bare(report, options, f"routed over {options.experts}", count, runs)
        report.ratios[f"routed_over_bare_{options.experts}_batch_{count}"] = measure.ratio(
            seconds, "routed", "bare"
        ).median
    registry.close()


def training(base: BaseModel, options: argparse.Namespace, report: measure.Report) -> None:
    """Rows a second of one epoch, by how many experts train together."""
    first = default_first_layer(base.layers)
    encoded = [
        encode(
            base,
            texts(options.rows, options.length, seed),
            layers=(first,),
            max_length=options.length,
            resume_at=first,
        )
        for seed in range(max(options.together))
    ]
    runs: dict[str, Run] = {
        str(count): lambda count=count: train_together(
            [trainee(base, options, one, seed) for seed, one in enumerate(encoded[:count])]
        )
        for count in options.together
    }
    seconds = measure.interleave(runs, min(options.repeats, 5), warm_up=1, name="training")
    for count in options.together:
        paces = [count * options.rows / second for second in seconds[str(count)]]
        report.table.append({"part": "training", "experts": count, "rows/s": measure.spread(paces)})
        report.ratios[f"training_rows_per_s_{count}"] = measure.spread(paces).median


def trainee(base: BaseModel, options: argparse.Namespace, rows: Encoding, seed: int) -> Trainee:
    """An expert of made rows, for one epoch."""
    settings = replace(ExpertSettings(), epochs=1, seed=seed).training(options.rows)
    architecture = design(
        base,
        task_kind="classification",
        labels=LABELS,
        adapter="tt_lora",
        preset="default",
        rank=None,
        alpha=None,
        first_layer=None,
        max_length=options.length,
    )
    data = [Row({"text": "", "label": LABELS[place % 2]}, "train") for place in range(options.rows)]
    module = ExpertModule(base, architecture, seed)
    return Trainee(
        module,
        rows,
        Split.of(module, data, range(len(data))),
        Split.of(module, data, range(min(32, len(data)))),
        settings,
    )


if __name__ == "__main__":
    main()
