"""Writing: each row of a batch is continued token by token until its text ends.

What was read of a row stays in memory as keys and values, so that a step reads one token. Rows are padded on
the right; a row that has ended leaves the batch.
"""

import copy
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

from registry.errors import InvalidSettingError
from trainer.base_model import BaseModel
from trainer.settings import check_seed
from trainer.tokens import Batch, Tokens
from trainer.visitors import Visitor

HOTTEST = 10.0
MOST_TOKENS = 4_096


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How answers are written.

    Attributes:
        temperature: 0 takes the likeliest token at every step; above it tokens are drawn, the more freely the
            higher, 1 being as the model says.
        top_p: tokens are drawn from the likeliest that together have this share.
        seed: what is drawn depends on it and on the prompt, and on nothing else that is asked.
        max_new_tokens: of an answer, its end among them; by default as many as the longest that the expert
            has learnt.

    Raises:
        InvalidSettingError: a number out of its range; a share of nothing that is drawn.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    max_new_tokens: int | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that nothing can be written with."""
        if not 0 <= self.temperature <= HOTTEST:
            raise InvalidSettingError(f"temperature {self.temperature:g} must be from 0 to {HOTTEST:g}")
        if not 0 < self.top_p <= 1:
            raise InvalidSettingError(f"top-p {self.top_p:g} must be above 0, and 1 at most")
        if self.top_p < 1 and not self.temperature:
            raise InvalidSettingError(
                f"top-p {self.top_p:g} needs a temperature above 0: without one nothing is drawn"
            )
        check_seed(self.seed)
        if self.max_new_tokens is not None and not 1 <= self.max_new_tokens <= MOST_TOKENS:
            raise InvalidSettingError(
                f"max new tokens {self.max_new_tokens} must be from 1 to {MOST_TOKENS:,}"
            )


GREEDY = Decoding()


@dataclass(frozen=True)
class Written:
    """What was written after one prompt; cut: whether it was to go on."""

    text: str
    cut: bool


class Reading:
    """What has been read of each row of a batch.

    Attributes:
        last: `(rows, hidden)`, the final state of each row's last token.
    """

    def __init__(self, base: BaseModel, cache: Cache, mask: Tensor, last: Tensor) -> None:
        self.base, self.last = base, last
        self._cache, self._mask = cache, mask

    @classmethod
    def of(cls, base: BaseModel, cache: Cache, batch: Batch, final: Tensor) -> "Reading":
        """From a forward that put its keys and values into `cache`."""
        rows = torch.arange(len(final), device=final.device)
        return cls(base, cache, batch.mask, final[rows, batch.mask.sum(1) - 1])

    @classmethod
    def prompts(cls, base: BaseModel, prompts: Sequence[Tokens], visitor: Visitor) -> "Reading":
        """Read prompts from their beginning."""
        cache, batch = DynamicCache(config=base.model.config), base.batch(prompts)
        return cls.of(base, cache, batch, base.forward(batch, visitor, cache))

    def extend(self, tokens: Sequence[Sequence[int]], visitor: Visitor) -> None:
        """Read on in each row; in some it may be nothing."""
        batch = self.base.batch([Tokens(list(ids), [0] * len(ids), False) for ids in tokens])
        final = self.base.extend(batch, self._mask, self._cache, visitor)
        sizes = batch.mask.sum(1)
        rows = torch.arange(len(final), device=final.device)
        self.last = torch.where(sizes[:, None] > 0, final[rows, (sizes - 1).clamp(min=0)], self.last)
        self._mask = torch.cat([self._mask, batch.mask], 1)

    def part(self, rows: Sequence[int]) -> "Reading":
        """Some rows, to be gone on from by themselves."""
        found = Reading(self.base, copy.deepcopy(self._cache), self._mask, self.last)
        found.keep(rows)
        return found

    def keep(self, rows: Sequence[int]) -> None:
        """Forget all other rows."""
        places = torch.tensor(rows, device=self.last.device)
        self._cache.batch_select_indices(places)
        self._mask, self.last = self._mask[places], self.last[places]


def write(
    reading: Reading,
    prompts: Sequence[Tokens],
    limits: Sequence[int],
    decoding: Decoding,
    visitor_of: Callable[[Sequence[int]], Visitor],
    head_of: Callable[[Tensor, Sequence[int]], Tensor],
) -> list[Written]:
    """Continue each row.

    Args:
        prompts: what was read of each; limits: how many tokens each may write, its end among them, as far
            as the base model reads.
        visitor_of: the experts of some rows at work.
        head_of: the states that words are read off, from the final states of some rows.
    """
    base, end = reading.base, reading.base.end
    limits = [
        max(1, min(limit, base.max_positions - len(prompt.ids)))
        for prompt, limit in zip(prompts, limits, strict=True)
    ]
    written: list[list[int]] = [[] for _ in prompts]
    ended = [False] * len(prompts)
    choose = _chooser(prompts, decoding)
    rows = list(range(len(prompts)))
    visitor = visitor_of(rows)
    while rows:
        going = []
        tokens = choose(base.words.logits(head_of(reading.last, rows)), rows)
        for place, (row, token) in enumerate(zip(rows, tokens, strict=True)):
            ended[row] = token == end
            if not ended[row]:
                written[row].append(token)
                if len(written[row]) < limits[row]:
                    going.append(place)
        if len(going) < len(rows):
            rows = [rows[place] for place in going]
            if not rows:
                break
            reading.keep(going)
            visitor = visitor_of(rows)
        reading.extend([written[row][-1:] for row in rows], visitor)
    return [Written(base.spell(ids), not done) for ids, done in zip(written, ended, strict=True)]


def _chooser(prompts: Sequence[Tokens], decoding: Decoding) -> Callable[[Tensor, Sequence[int]], list[int]]:
    """The next token of some rows, from their logits `(rows, words)`."""
    if not decoding.temperature:
        return lambda logits, _: logits.argmax(-1).tolist()
    draws = [torch.Generator().manual_seed(_seed(decoding.seed, prompt)) for prompt in prompts]

    def draw(logits: Tensor, rows: Sequence[int]) -> list[int]:
        points = torch.cat([torch.rand(1, generator=draws[row], dtype=torch.float64) for row in rows])
        return drawn(logits, points.to(logits.device), decoding).tolist()

    return draw


def drawn(logits: Tensor, points: Tensor, decoding: Decoding) -> Tensor:
    """The token at each point from 0 to 1 `(rows,)` of the shares of the likeliest tokens, `(rows,)`."""
    shares, tokens = (logits.double() / decoding.temperature).softmax(-1).sort(descending=True)
    before = shares.cumsum(-1) - shares
    # The smallest set that has the share asked for: all before which there is less.
    kept = shares * (before < decoding.top_p)
    ends = kept.cumsum(-1)
    places = (ends <= points[:, None] * ends[:, -1:]).sum(-1)
    return tokens.gather(1, places.clamp(max=(kept > 0).sum(-1) - 1)[:, None])[:, 0]


def _seed(seed: int, prompt: Tokens) -> int:
    """Of one row: the same wherever it is asked."""
    digest = hashlib.sha256(f"{seed} {prompt.ids}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
