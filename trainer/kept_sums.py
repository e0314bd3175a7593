"""The newest totals over the datasets of a pool, in a file of the home's cache.

One file for each way of reading (base model, layers, length limit): a refit puts its own totals in the place
of the last, so what is kept stays as large as one total, and old readings go when there are too many. A file
that is damaged, cut or of another version is of no use, and is replaced.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from registry.canonical import canonical_json
from registry.disk import replacing, storage_errors
from registry.errors import DamagedError
from registry.faults import fault
from trainer.sums import RidgeSums, packed_size

FORMAT = 2
"""Raised when what a file holds changes."""

READINGS = 3
"""Files that are kept: those used last."""

HEADER_LIMIT = 1 << 24

PIECE = 1 << 20
"""Numbers that are hashed by one thread at a time."""


class SumsFile:
    """Where totals are kept: a line of JSON (members, width, digest), then means, high and low as float64."""

    def __init__(self, folder: Path, key: str) -> None:
        self.path = folder / f"{key}.sums"

    def load(self) -> tuple[list[str], RidgeSums] | None:
        """The digests of the datasets that are summed, in the order of the means, and their sums; None when
        nothing is kept.

        Raises:
            DamagedError: what is kept cannot be used.
            StorageError: it cannot be read.
        """
        with storage_errors("read", self.path):
            try:
                file = self.path.open("rb")
            except FileNotFoundError:
                return None
            with file:
                about = _header(file.readline(HEADER_LIMIT))
                members, width = about["members"], about["width"]
                values = torch.empty(len(members) * width + 2 * packed_size(width), dtype=torch.float64)
                content = _bytes(values)
                whole = file.readinto(content) == len(content) and not file.read(1)
        means, high, low = values.split([len(members) * width, packed_size(width), packed_size(width)])
        if not whole or about["sha256"] != _digest(members, width, means, high, low):
            raise DamagedError("the kept sums of the router are damaged")
        return members, RidgeSums(means.view(len(members), width), high, low)

    def save(self, members: Sequence[str], sums: RidgeSums) -> None:
        """Keep these in place of what was kept, in one step.

        Not flushed to the disk: what a power failure leaves half-written shows when it is read.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        assert sums.high is not None and sums.low is not None
        parts = [torch.cat(sums.means), sums.high, sums.low]
        width = len(sums.means[0])
        about = {
            "format": FORMAT,
            "members": list(members),
            "width": width,
            "sha256": _digest(members, width, *parts),
        }
        with storage_errors("write", self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.path) as file:
                file.write(canonical_json(about).encode() + b"\n")
                for part in parts:
                    file.write(_bytes(part))
                file.flush()
                fault("sums.written")
            self._forget_old()

    def _forget_old(self) -> None:
        files = sorted(self.path.parent.glob("*.sums"), key=lambda path: path.stat().st_mtime)
        for path in files[:-READINGS]:
            path.unlink(missing_ok=True)


def _header(line: bytes) -> dict[str, Any]:
    try:
        about = json.loads(line)
        if about["format"] != FORMAT:
            raise DamagedError("the kept sums of the router are of another version of this program")
        return {"members": list(about["members"]), "width": int(about["width"]), "sha256": about["sha256"]}
    except (ValueError, KeyError, TypeError):
        raise DamagedError("the kept sums of the router are damaged") from None


def _digest(members: Sequence[str], width: int, *parts: Tensor) -> str:
    """Of the digests of equal pieces: a hundred megabytes one after the other took a tenth of a fit."""
    pieces = [piece for part in parts for piece in part.split(PIECE)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        found = threads.map(lambda piece: hashlib.sha256(_bytes(piece)).hexdigest(), pieces)
        about = {"members": list(members), "width": width, "pieces": list(found)}
    return hashlib.sha256(canonical_json(about).encode()).hexdigest()


def _bytes(values: Tensor) -> memoryview:
    """The memory of a tensor, not a copy."""
    return values.numpy().data.cast("B")
