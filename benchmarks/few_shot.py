"""The base model alone, shown a few rows before the one it is asked: what experts that write must beat."""

import random
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks import measure
from trainer.base_model import BaseModel
from trainer.batching import CPU_TOKENS, by_tokens
from trainer.data import Row
from trainer.decoding import GREEDY, Reading, write
from trainer.tasks import text_generation
from trainer.tokens import Tokens
from trainer.visitors import Visitor

SHOTS = 4
BREAK = "\n\n"
"""What ends an answer in the prompt, and so in what is written after it."""
LONGEST = 1_000
"""Tokens of a prompt; of a longer one the last are read."""


@torch.no_grad()
def few_shot(
    base: BaseModel, shown: Sequence[Row], asked: Sequence[Row], limit: int, seed: int
) -> dict[str, float]:
    """The scores of the base model on rows, each after SHOTS of those `shown`, drawn anew for it.

    Perplexity is of the target and the break after it, which stands in place of the end.
    """
    drawn = random.Random(seed)
    prompts = [_prompt(base, drawn.sample(list(shown), SHOTS), row) for row in asked]
    targets = [base.pieces(row.values[text_generation.TARGET] + BREAK) for row in asked]
    said: dict[int, str] = {}
    surprise = tokens = 0.0
    sizes = [len(ids) + max(limit, len(target)) for ids, target in zip(prompts, targets, strict=True)]
    for rows in by_tokens(sizes, [1] * len(asked), CPU_TOKENS, CPU_TOKENS):
        own = [_tokens(prompts[row]) for row in rows]
        reading = Reading.prompts(base, own, Visitor())
        written = write(
            reading, own, [limit] * len(rows), GREEDY, lambda _: Visitor(), lambda states, _: states
        )
        said |= {row: one.text.split(BREAK)[0] for row, one in zip(rows, written, strict=True)}
        for row in rows:
            ids = [*prompts[row], *targets[row]]
            final = base.forward(base.batch([_tokens(ids)]))[0, len(prompts[row]) - 1 : -1]
            found = base.words.surprise(final, torch.tensor(targets[row], device=final.device))
            surprise, tokens = surprise + found.sum().item(), tokens + len(targets[row])
        measure.tell(f"few shots: {len(said)} of {len(asked)}")
    outputs = torch.tensor([[surprise, tokens]])
    answers = [said[row] for row in range(len(asked))]
    return text_generation.metrics(answers, asked) | text_generation.fit(outputs)


def _prompt(base: BaseModel, shown: Sequence[Row], asked: Row) -> list[int]:
    target = text_generation.TARGET
    before = "".join(f"{row.input.words}\n{row.values[target]}{BREAK}" for row in shown)
    return base.pieces(f"{before}{asked.input.words}\n")[-LONGEST:]


def _tokens(ids: list[int]) -> Tokens:
    return Tokens(ids, [0] * len(ids), False)


def line(task: str, found: Sequence[dict[str, float]]) -> dict[str, Any]:
    """A row of the table."""
    each = {name: measure.spread([one[name] for one in found]) for name in found[0]}
    return {"task": task, "form": f"base, {SHOTS} shots", "parameters": 0, **each}
