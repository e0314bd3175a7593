"""Inputs whose sequences lie one after the other in a batch: from input to sequences, and back.

`counts` says how many sequences each input is; see `trainer.inputs.Input.sequences`.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

Item = TypeVar("Item")


def spans(counts: Sequence[int]) -> list[range]:
    """The sequences of each input."""
    ends = list(accumulate(counts))
    return [range(end - count, end) for end, count in zip(ends, counts, strict=True)]


def spread(values: Iterable[Item], counts: Sequence[int]) -> list[Item]:
    """What is known of each input, for each of its sequences."""
    return [value for value, count in zip(values, counts, strict=True) for _ in range(count)]


def means(values: Tensor, counts: Sequence[int]) -> Tensor:
    """The mean over the sequences of each input, `(inputs, ...)` of `(sequences, ...)`."""
    if len(values) == len(counts):
        return values
    sizes = torch.tensor(counts, device=values.device)
    owners = torch.arange(len(counts), device=values.device).repeat_interleave(sizes)
    total = values.new_zeros(len(counts), *values.shape[1:]).index_add_(0, owners, values)
    return total / sizes.view(-1, *[1] * (values.ndim - 1))


def by_input(outputs: Tensor, counts: Sequence[int]) -> Tensor:
    """A head's outputs by input: as they are where each is one sequence; else `(inputs, choices)`, the one
    number of each choice, -inf where there are fewer."""
    if len(outputs) == len(counts):
        return outputs
    return pad_sequence(outputs[:, 0].split(list(counts)), batch_first=True, padding_value=-torch.inf)
