"""TT-LoRA: the update of a linear layer held as tensor-train cores (arXiv 2504.21190, section 3; arXiv
2408.01008).

Cores `G_k` have shape `(r_{k-1}, d_k, r_k)`, input modes first, then output modes, `r_0 = r_d = 1`. The flat
input index runs with the first input mode fastest, the flat output index with the first output mode slowest,
as in the authors' contraction. Contracting the input cores gives `A (inputs, r)`, the output cores `B (r,
outputs)`, with `r` the rank at the boundary: a TT-LoRA adapter is exactly a LoRA of that rank, and that is
the form in which it trains and runs.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from registry.errors import InvalidSettingError, NotFoundError, nearest
from trainer.adapters import ATTENTION, check_rank

LEARNING_RATE = 3e-3
TARGETS = ATTENTION
FORM = "low_rank"
LINEAR = True
LOOKS = 0

MOST_CORES = 12
"""Of the inputs, and of the outputs: letters enough to write their contraction down."""


def read_shapes(given: Any, sizes: Collection[tuple[int, int]] | None) -> dict[str, list[list[int]]]:
    """Modes by the size of their layer, from a mapping like that of `Config.shapes` or from a text: input
    modes, a colon, output modes; a space before those of layers of another size.

    >>> read_shapes("24,24:24,24 32,18:16,12", None)
    {'576x576': [[24, 24], [24, 24]], '576x192': [[32, 18], [16, 12]]}

    Raises:
        InvalidSettingError: something else, or modes whose products are not the sizes of a layer.
    """
    read = _modes_in_words(given) if isinstance(given, str) else given
    found: dict[str, list[list[int]]] = {}
    listed = read.values() if isinstance(read, Mapping) else read
    for pair in listed if isinstance(listed, Iterable) else ():
        if not _is_modes(pair):
            raise InvalidSettingError(f"modes {pair} must be two lists of whole numbers above 0: {_EXAMPLE}")
        inputs, outputs = (math.prod(side) for side in pair)
        if sizes is not None and (inputs, outputs) not in sizes:
            written = ":".join(",".join(map(str, side)) for side in pair)
            there = ", ".join(f"{one} -> {other}" for one, other in sorted(sizes))
            raise InvalidSettingError(
                f"modes {written} are for a layer {inputs} -> {outputs}; those to be adapted are {there}"
            )
        found[f"{inputs}x{outputs}"] = [[*side] for side in pair]
    if not found or (isinstance(read, Mapping) and {*read} != {*found}):
        raise InvalidSettingError(f"shapes {given!r} must be modes by the size of their layer: {_EXAMPLE}")
    return found


_EXAMPLE = "24,24:16,12 for layers 576 -> 192"


def _modes_in_words(text: str) -> list[Any]:
    try:
        return [
            [[int(mode) for mode in side.split(",")] for side in pair.split(":")] for pair in text.split()
        ]
    except ValueError:
        raise InvalidSettingError(f"modes {text!r} must be whole numbers: {_EXAMPLE}") from None


def _is_modes(pair: Any) -> bool:
    return (
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and all(isinstance(side, list | tuple) and side for side in pair)
        and all(type(mode) is int and mode > 0 for side in pair for mode in side)
    )


@dataclass(frozen=True, kw_only=True)
class Config:
    """How the cores of each layer are shaped and scaled."""

    rank: int = 5
    """The rank between any two neighbouring cores."""
    alpha: float = 4.0
    """Multiplies the update; not divided by the rank (section 3)."""
    input_cores: int = 2
    output_cores: int = 2
    shapes: dict[str, list[list[int]]] | None = field(default=None, metadata={"read": read_shapes})
    """Fixed modes `[[inputs...], [outputs...]]` by `inputs x outputs`; sizes not listed are factorised
    automatically."""
    zero_start: bool = True
    """The last core starts at zero, so that an untrained expert equals the base model."""

    def __post_init__(self) -> None:
        """Refuse trains without cores."""
        for name in ("input_cores", "output_cores"):
            if not 1 <= getattr(self, name) <= MOST_CORES:
                raise InvalidSettingError(f"{name}={getattr(self, name)} must be from 1 to {MOST_CORES}")


PRESETS = {
    "default": Config(),
    # The shapes of the paper for Llama-3.2-1B; its cores start at unit norm, so the update is not zero at the
    # start.
    "paper": Config(
        rank=5,
        alpha=16.0,
        input_cores=4,
        output_cores=4,
        shapes={
            "2048x2048": [[16, 8, 4, 4], [4, 4, 8, 16]],
            "2048x512": [[16, 16, 4, 2], [2, 16, 16]],
        },
        zero_start=False,
    ),
}


def configure(*, rank: int | None = None, alpha: float | None = None, preset: str = "default") -> Config:
    """The preset, with rank and alpha replaced where given."""
    if preset not in PRESETS:
        raise NotFoundError(
            f"unknown preset {preset!r} of tt_lora; known: {', '.join(PRESETS)}.{nearest(preset, PRESETS)}"
        )
    base = PRESETS[preset]
    return Config(
        rank=base.rank if rank is None else rank,
        alpha=base.alpha if alpha is None else alpha,
        input_cores=base.input_cores,
        output_cores=base.output_cores,
        shapes=base.shapes,
        zero_start=base.zero_start,
    )


@lru_cache
def _factors(size: int, parts: int) -> tuple[int, ...]:
    if parts == 1:
        return (size,)
    options = (
        (divisor, *_factors(size // divisor, parts - 1))
        for divisor in range(1, size + 1)
        if size % divisor == 0
    )
    return tuple(sorted(min(options, key=lambda factors: (sum(factors), max(factors))), reverse=True))


def factorise(size: int, parts: int) -> list[int]:
    """`parts` factors of `size`, in descending order, with the smallest sum; a prime keeps itself and ones.

    >>> factorise(576, 2), factorise(192, 2), factorise(2048, 3), factorise(7, 2)
    ([24, 24], [16, 12], [16, 16, 8], [7, 1])
    """
    return list(_factors(size, parts))


def modes(config: Config, inputs: int, outputs: int) -> tuple[list[int], list[int]]:
    """The input and output mode sizes for one layer: the config's own where it lists the layer's size."""
    fixed = (config.shapes or {}).get(f"{inputs}x{outputs}")
    if fixed is not None:
        return list(fixed[0]), list(fixed[1])
    return factorise(inputs, config.input_cores), factorise(outputs, config.output_cores)[::-1]


def parts(config: Config, inputs: int, outputs: int, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The input cores contracted to `a`, the output cores to `b`, alpha folded into the smallest of them."""
    split, count = len(modes(config, inputs, outputs)[0]), len(values)
    a = values["cores.0"].squeeze(-3)
    for k in range(1, split):
        # The earlier modes stay the fast ones: the new mode goes in front.
        a = torch.einsum("...ir,...rds->...dis", a, values[f"cores.{k}"]).flatten(-3, -2)
    b = config.alpha * values[f"cores.{split}"]
    for k in range(split + 1, count):
        b = torch.einsum("...ris,...snt->...rint", b, values[f"cores.{k}"]).flatten(-3, -2)
    return {"a": a, "b": b.squeeze(-1)}


def values(config: Config, inputs: int, outputs: int, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The cores nearest to the update that some parts make, by TT-SVD: `parts` the other way round.

    Exact where `config.rank` is at least the rank of the update between any two modes. Parts may have leading
    axes.
    """
    input_modes, output_modes = modes(config, inputs, outputs)
    a, b = parts["a"].double(), parts["b"].double()
    lead, count = a.shape[:-2], len(input_modes)
    (left, upper), (right, lower) = torch.linalg.qr(a), torch.linalg.qr(b.mT)
    u, s, vh = torch.linalg.svd(upper @ lower.mT, full_matrices=False)
    # The rows of `right` are orthonormal, so that what is cut from the left is cut from the whole.
    state, right = left @ (u * s[..., None, :]), vh @ right.mT
    # The first input mode is the fast one: the axes of modes are turned round.
    state = state.unflatten(-2, input_modes[::-1])
    first, last = len(lead), len(lead) + count
    state = state.permute(*range(first), *range(first, last)[::-1], last).reshape(*lead, 1, -1)
    cores: list[Tensor] = []
    for place, mode in enumerate([*input_modes, *output_modes[:-1]]):
        core, state = _split(state, mode, config.rank)
        cores.append(core)
        if place == count - 1:
            state = state @ right
    cores.append(state.unflatten(-1, (output_modes[-1], 1)) / config.alpha)
    return {
        f"cores.{place}": _padded(core, place, len(cores), config.rank) for place, core in enumerate(cores)
    }


def _split(state: Tensor, mode: int, rank: int) -> tuple[Tensor, Tensor]:
    """One core off `state (rank before, all further modes)`, and the rest."""
    before = state.shape[-2]
    u, s, vh = torch.linalg.svd(state.unflatten(-1, (mode, -1)).flatten(-3, -2), full_matrices=False)
    return u[..., :rank].unflatten(-2, (before, mode)), s[..., :rank, None] * vh[..., :rank, :]


def _padded(core: Tensor, place: int, count: int, rank: int) -> Tensor:
    """With zeros to the rank that all cores have between them."""
    before, after = 1 if place == 0 else rank, 1 if place == count - 1 else rank
    room = (0, after - core.shape[-1], 0, 0, 0, before - core.shape[-3])
    return functional.pad(core, room).float()


class Adapter(nn.Module):
    """The tensor-train update of one linear layer.

    Raises:
        InvalidSettingError: a rank below 1 or above what the layer can carry.
    """

    def __init__(
        self, config: Config, inputs: int, outputs: int, generator: torch.Generator, name: str
    ) -> None:
        super().__init__()
        self.config, self.size = config, (inputs, outputs)
        self.input_modes, self.output_modes = modes(config, inputs, outputs)
        check_rank(config.rank, inputs, outputs, name)
        sizes = self.input_modes + self.output_modes
        ranks = [1, *[config.rank] * (len(sizes) - 1), 1]
        shapes = [(ranks[k], size, ranks[k + 1]) for k, size in enumerate(sizes)]
        start = _scaled_start if config.zero_start else _unit_norm_start
        self.cores = nn.ParameterList(start(shapes, len(self.input_modes), generator))

    def forward(self, x: Tensor, output: Tensor) -> Tensor:
        """The output of a layer with the update added: `x` contracted with one core after the other (section
        3.2)."""
        batch = x.shape[:-1]
        # (rows, 1, m_p, ..., m_1): the last axis is the first input mode.
        state = x.reshape(math.prod(batch), 1, *self.input_modes[::-1])
        for core in self.cores[: len(self.input_modes)]:
            state = torch.einsum("br...m,rmp->bp...", state, core)
        for core in self.cores[len(self.input_modes) :]:
            state = torch.einsum("br...,rnp->bp...n", state, core)
        return output + self.config.alpha * state.reshape(*batch, math.prod(self.output_modes))

    def dense(self) -> Tensor:
        """The update as a matrix `(inputs, outputs)`."""
        found = parts(self.config, *self.size, self.state_dict(keep_vars=True))
        return found["a"] @ found["b"]


def _scaled_start(
    shapes: Sequence[tuple[int, int, int]], input_cores: int, generator: torch.Generator
) -> list[nn.Parameter]:
    """Columns of A of about unit norm, rows of B carried through at unit scale, the last core zero."""
    cores = []
    for k, shape in enumerate(shapes):
        before, size, _ = shape
        scale = 1 / math.sqrt(before * size) if k < input_cores else 1 / math.sqrt(before)
        core = torch.randn(shape, generator=generator) * scale
        cores.append(nn.Parameter(torch.zeros(shape) if k == len(shapes) - 1 else core))
    return cores


def _unit_norm_start(
    shapes: Sequence[tuple[int, int, int]], _input_cores: int, generator: torch.Generator
) -> list[nn.Parameter]:
    """Each core Kaiming-uniform, then divided by its own norm, as the authors' code starts."""
    cores = []
    for shape in shapes:
        core = torch.empty(shape)
        nn.init.kaiming_uniform_(core, a=math.sqrt(8), generator=generator)
        cores.append(nn.Parameter(core / core.norm()))
    return cores
