"""Hidden states on disk: those that enter one layer, for every row of a dataset, in a file that is mapped.

They depend on base model, rows, layer, length limit and number type alone, and are worth minutes of computing
but nothing more: the cache is bounded, what was not used for longest goes first, and a file that is damaged
or was written by another version counts as absent.
"""

import json
import os
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from registry import Registry
from registry.disk import partial_name, private_folder, storage_errors, sync
from registry.errors import DamagedError, InvalidSettingError
from registry.faults import fault
from trainer.settings import key

FORMAT = 1
"""Raised when what a file holds changes."""

LIMIT_GIB = 4.0
"""Room that the cache may take by default; `REGISTRY_STATES_GIB` says otherwise, 0 does without it."""

SHARE = 0.25
"""Of what is free on the disk, the cache itself counted as free: it never takes more."""

_HEADER = 4096
"""Bytes before the lengths: JSON, filled up with spaces."""

_CHUNK = 16 << 20


@dataclass(frozen=True)
class StateKey:
    """What states depend on; `form`: how rows are read, where that is more than their inputs."""

    base_model: str
    dataset_sha256: str
    layer: int
    max_length: int
    form: str = ""

    def name(self, dtype: torch.dtype) -> str:
        """The file's name without its ending."""
        reading = {"layer": self.layer, "max_length": self.max_length, "dtype": str(dtype), "form": self.form}
        return key(base_model=self.base_model, dataset=self.dataset_sha256, reading=reading)


class StateCache:
    """The files of one home.

    Args:
        limit: bytes that all files may take together.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit

    @classmethod
    def of(cls, registry: Registry) -> "StateCache":
        """That of a registry, with the limit that the environment sets.

        Raises:
            InvalidSettingError: `REGISTRY_STATES_GIB` is no number from 0 on.
        """
        given = os.environ.get("REGISTRY_STATES_GIB", str(LIMIT_GIB))
        try:
            limit = float(given)
        except ValueError:
            limit = -1.0
        if not 0 <= limit < 1e9:
            raise InvalidSettingError(f"REGISTRY_STATES_GIB={given} must be a number of GiB, 0 or more")
        return cls(registry.cache / "states", int(limit * 2**30))

    def room(self) -> int:
        """Bytes that all files may take together now."""
        if self.limit == 0:
            return 0
        free = shutil.disk_usage(private_folder(self.folder)).free
        return min(self.limit, int(SHARE * (free + sum(size for _, size, _ in self._files()))))

    def make_room(self, size: int) -> bool:
        """Remove what was not used for longest until `size` more bytes fit; False if they never will."""
        room = self.room()
        if size > room:
            return False
        files = self._files()
        used = sum(taken for _, taken, _ in files)
        for _, taken, path in sorted(files):
            if used + size <= room:
                break
            path.unlink(missing_ok=True)
            used -= taken
        return True

    def _files(self) -> list[tuple[float, int, Path]]:
        """When each was last used, its bytes, and its path."""
        found = []
        for path in self.folder.glob("*.states"):
            try:
                about = path.stat()
            except FileNotFoundError:  # Another process has just removed it.
                continue
            found.append((about.st_mtime, about.st_size, path))
        return found


class StateFile:
    """The states of one dataset: `(tokens of all rows, hidden)`, row after row.

    Args:
        lengths: tokens of each row.
    """

    def __init__(
        self, cache: StateCache, wanted: StateKey, lengths: Sequence[int], hidden: int, dtype: torch.dtype
    ) -> None:
        self._cache = cache
        self._key = wanted.name(dtype)
        self._lengths = np.array(lengths, dtype="<i4")
        self._starts = [0, *accumulate(lengths)]
        self._shape = (int(self._lengths.sum()), hidden)
        self._dtype = dtype
        self._begin = _HEADER + -(-self._lengths.nbytes // _HEADER) * _HEADER
        self.path = cache.folder / f"{self._key}.states"
        self._partial = partial_name(self.path)
        self._descriptor: int | None = None

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self._begin + self._shape[0] * self._shape[1] * self._dtype.itemsize

    def read(self) -> Tensor | None:
        """The states, mapped; None when there are none.

        Raises:
            DamagedError: the file is cut short, changed, or of another version; it is removed.
        """
        try:
            with self.path.open("rb") as file:
                header = file.read(_HEADER)
            if self.path.stat().st_size != self.size or header != self._header(_checksum(self.path)):
                self.path.unlink(missing_ok=True)
                raise DamagedError("The cached states of these rows were damaged or of another version.")
            os.utime(self.path)
        except OSError:  # Not there, or not to be read: a cache is worth no error.
            return None
        return self._map(self.path)

    def begin(self) -> bool:
        """Make room for a new file; False if there is none."""
        try:
            if not self._cache.make_room(self.size):
                return False
            self._descriptor = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            # A disk that is full says so here, not in the middle.
            getattr(os, "posix_fallocate", _extend)(self._descriptor, 0, self.size)
        except OSError:
            self.discard()
            return False
        return True

    def put(self, row: int, states: Tensor) -> None:
        """Write the states `(tokens, hidden)` of one row."""
        assert self._descriptor is not None
        content = _as_numpy(states.to(self._dtype).contiguous())
        place = self._begin + self._starts[row] * content[0].nbytes
        with storage_errors("write", self._partial):
            os.pwrite(self._descriptor, content.tobytes(), place)

    def end(self) -> Tensor:
        """What was written, mapped; not yet found by others."""
        assert self._descriptor is not None
        with storage_errors("write", self._partial):
            os.pwrite(self._descriptor, self._lengths.tobytes(), _HEADER)
            os.pwrite(self._descriptor, self._header(_checksum(self._partial)), 0)
        return self._map(self._partial)

    def publish(self) -> None:
        """Let others find it, in one step: a kill leaves the whole file or none."""
        assert self._descriptor is not None
        fault("states.written")
        with storage_errors("write", self.path):
            os.fsync(self._descriptor)
            self._close()
            self._partial.replace(self.path)
            sync(self.path.parent)

    def discard(self) -> None:
        """Forget what was written."""
        self._close()
        self._partial.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _map(self, path: Path) -> Tensor:
        kind = np.int16 if self._dtype == torch.bfloat16 else np.float32
        # Copy-on-write: torch knows no read-only tensors.
        mapped = np.memmap(path, dtype=kind, mode="c", offset=self._begin, shape=self._shape)
        return torch.from_numpy(mapped).view(self._dtype)

    def _header(self, checksum: int) -> bytes:
        about: dict[str, Any] = {
            "format": FORMAT,
            "key": self._key,
            "lengths": zlib.crc32(self._lengths.tobytes()),
            "shape": self._shape,
            "dtype": str(self._dtype),
            "content": checksum,
        }
        return json.dumps(about, sort_keys=True).encode().ljust(_HEADER)


class MemoryStates:
    """The states of one dataset in memory, where no cache has room for them; else as `StateFile`."""

    def __init__(self, lengths: Sequence[int], hidden: int, dtype: torch.dtype) -> None:
        self._starts = [0, *accumulate(lengths)]
        self._hidden = hidden
        self._dtype = dtype

    @property
    def size(self) -> int:
        """Bytes of all states."""
        return self._starts[-1] * self._hidden * self._dtype.itemsize

    def begin(self) -> None:
        """Take the memory."""
        self._states = torch.empty(self._starts[-1], self._hidden, dtype=self._dtype)

    def put(self, row: int, states: Tensor) -> None:
        """Keep the states `(tokens, hidden)` of one row."""
        self._states[self._starts[row] : self._starts[row + 1]] = states

    def end(self) -> Tensor:
        """What was put."""
        return self._states

    def publish(self) -> None:
        """Nobody else reads them."""

    def discard(self) -> None:
        """They go with the last that refers to them."""


def _checksum(path: Path) -> int:
    """Of all that follows the header: a flipped bit would otherwise go unseen."""
    found = 0
    with path.open("rb") as file:
        file.seek(_HEADER)
        while chunk := file.read(_CHUNK):
            found = zlib.crc32(chunk, found)
    return found


def _extend(descriptor: int, _start: int, size: int) -> None:
    os.ftruncate(descriptor, size)


def _as_numpy(states: Tensor) -> np.ndarray:
    found: np.ndarray = (states.view(torch.int16) if states.dtype == torch.bfloat16 else states).numpy()
    return found
