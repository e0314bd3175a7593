"""What an expert in memory answers to rows, and how well that does."""

from collections.abc import Sequence

import torch
from torch import Tensor

from trainer.batching import CPU_TOKENS, GPU_TOKENS, by_tokens
from trainer.data import Row
from trainer.decoding import GREEDY, Reading, write
from trainer.encoding import Encoding
from trainer.experts import ExpertModule
from trainer.inputs import Input
from trainer.progress import Progress, silent
from trainer.prompts import Prompts
from trainer.trainee import answers, outputs

STAGE = "writing answers"


def answered(
    module: ExpertModule,
    encoding: Encoding,
    places: Sequence[int],
    data: Sequence[Row],
    on_progress: Progress = silent,
) -> tuple[list[str], dict[str, float]]:
    """The answers to the rows of an encoding at some places, and their scores."""
    kind, found = module.kind, outputs(module, encoding, places)
    if not kind.WRITES:
        said = answers(module, found, data)
        return said, kind.metrics(said, data)
    asked = [row.input for row in data]
    texts = written(module, Prompts.of(encoding.base, module.architecture), asked, on_progress)
    said = [one.label for one in kind.answers(module.head, texts, module.architecture.labels, asked)]
    return said, kind.metrics(said, data) | kind.fit(found)


@torch.no_grad()
def written(
    module: ExpertModule, prompts: Prompts, asked: Sequence[Input], on_progress: Progress = silent
) -> list[str]:
    """What an expert that writes answers, greedily."""
    base, visitor, limit = prompts.base, module.visitor(), prompts.limit
    read = [prompts.read(one) for one in asked]
    tokens = CPU_TOKENS if base.device.type == "cpu" else GPU_TOKENS
    sizes = [len(one.ids) + limit for one in read]
    found: dict[int, str] = {}

    def head_of(states: Tensor, _: Sequence[int]) -> Tensor:
        states = module.head(states)
        return states

    for rows in by_tokens(sizes, [1] * len(read), tokens, tokens):
        own = [read[row] for row in rows]
        reading = Reading.prompts(base, own, visitor)
        texts = write(reading, own, [limit] * len(rows), GREEDY, lambda _: visitor, head_of)
        found |= zip(rows, (one.text for one in texts), strict=True)
        on_progress(STAGE, len(found), len(read), "")
    return [found[row] for row in range(len(read))]
