"""Tensors as bytes: one safetensors file, with all of its metadata as canonical JSON under one key.

One key, because safetensors writes several in an order that changes from process to process, and a file named
by its digest must come out the same each time. What is read back is checked before anything is believed: the
format itself notices neither doubled keys nor padding nor NaN. Nothing is ever unpickled.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from registry.canonical import canonical_json
from registry.errors import DamagedError, InvalidSettingError

Tensors = dict[str, NDArray[Any]]

_HEADER_LIMIT = 1 << 20
_METADATA = "registry"
_DTYPES = ("F64", "F32", "F16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL")

__all__ = ["Tensors", "canonical_json", "check", "finite", "pack", "unpack"]


def pack(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> bytes:
    """The bytes of `tensors` with `metadata`; the same input gives the same bytes in every process.

    Raises:
        InvalidSettingError: There is no tensor, a dtype is not a plain number, or the metadata is not JSON.
    """
    # safetensors copies memory as it lies, so strides and byte order must be made plain first.
    plain = {name: numpy.ascontiguousarray(array).reshape(array.shape) for name, array in tensors.items()}
    plain = {name: array.astype(array.dtype.newbyteorder("<"), copy=False) for name, array in plain.items()}
    unfit = [f"{name} ({array.dtype})" for name, array in plain.items() if array.dtype.kind not in "fiub"]
    if unfit or not plain:
        raise InvalidSettingError(
            f"Tensors must be real numbers or booleans, at least one: {unfit or 'none'}."
        )
    return bytes(safetensors.numpy.save(plain, {_METADATA: canonical_json(metadata)}))


def unpack(content: bytes) -> tuple[Tensors, dict[str, Any]]:
    """The tensors and the metadata that `pack` was given.

    Raises:
        DamagedError: `content` is anything else than what `pack` gives.
    """
    metadata = _metadata(_header(content))
    try:
        return safetensors.numpy.load(content), metadata
    except (SafetensorError, ValueError) as error:
        raise DamagedError(f"Not a safetensors file: {error}.") from None


def check(
    tensors: Mapping[str, NDArray[Any]], expected: Mapping[str, tuple[str, tuple[int, ...]]], subject: str
) -> None:
    """Returns when `tensors` are exactly the `expected` ones, name by name, and hold finite numbers.

    Args:
        tensors: What was unpacked.
        expected: For each name the dtype (such as `float32`) and the shape.
        subject: Whose tensors they are, such as `sst2@3`, for the error.

    Raises:
        DamagedError: A tensor is missing, unknown, of another dtype or shape, or not finite.
    """
    missing, unknown = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or unknown:
        raise DamagedError(f"{subject} has the wrong tensors: missing {missing}, unknown {unknown}.")
    for name, (dtype, shape) in expected.items():
        found = tensors[name]
        if (found.dtype.name, found.shape) != (dtype, tuple(shape)):
            raise DamagedError(
                f"{subject} has a wrong tensor: {name} is {found.dtype.name} {list(found.shape)}, "
                f"expected {dtype} {list(shape)}."
            )
    finite(tensors, subject)


def finite(tensors: Mapping[str, NDArray[Any]], subject: str) -> None:
    """Returns when every number is finite.

    Raises:
        DamagedError: One is NaN or infinite.
    """
    for name, array in tensors.items():
        if array.dtype.kind == "f" and not numpy.isfinite(array).all():
            raise DamagedError(f"{subject} has a wrong tensor: {name} holds NaN or infinity.")


def _header(content: bytes) -> dict[str, Any]:
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 2 <= size <= min(_HEADER_LIMIT, len(content) - 8) or content[8:9] != b"{":
        raise DamagedError("Not a safetensors file: it does not begin with a header.")
    text = content[8 : 8 + size]
    # Spaces fill the header up to eight bytes; more of them would hide something.
    if len(text) - len(text.rstrip(b" ")) > 7:
        raise DamagedError("Not a safetensors file: its header is padded.")
    try:
        header: dict[str, Any] = json.loads(text.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"Not a safetensors file: its header is not JSON ({error}).") from None
    return header


def _metadata(header: dict[str, Any]) -> dict[str, Any]:
    extra = header.pop("__metadata__", None)
    if not isinstance(extra, dict) or list(extra) != [_METADATA] or not isinstance(extra[_METADATA], str):
        raise DamagedError("Not written by the registry: its metadata is missing.")
    try:
        metadata = json.loads(extra[_METADATA], object_pairs_hook=_unique)
        canonical = canonical_json(metadata) == extra[_METADATA]
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"Its metadata is not JSON ({error}).") from None
    if not isinstance(metadata, dict):
        raise DamagedError("Its metadata is not a JSON object.")
    if not canonical:
        raise DamagedError("Its metadata is not spelt as the registry spells it.")
    if not header:
        raise DamagedError("It holds no tensors.")
    for name, entry in header.items():
        if not isinstance(entry, dict) or entry.get("dtype") not in _DTYPES:
            raise DamagedError(f"Its tensor {name!r} is not of real numbers or booleans.")
    return metadata


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found
