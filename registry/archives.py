"""A backup's file: a plain tar of known members in a known order, so that nothing else can be in it.

Any `tar` lists and unpacks it. Reading it back is stricter than `tar`: one header of one block per member,
regular files only, each name and size as the manifest announces it, and not a byte more or less. No name in
the file ever becomes a path.
"""

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from registry.errors import DamagedError

MANIFEST = "manifest.json"
DATABASE = "registry.db"
FORMAT = "expert-registry backup"
VERSION = 1

_BLOCK = 512
_CHUNK = 1 << 20
_LARGEST_MANIFEST = 1 << 27  # A million blobs are 80 MB.
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a backup."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself, in its first member."""

    created_at: datetime
    revision: str
    """Of the database's schema."""
    database: Member
    blobs: tuple[Member, ...]

    @property
    def size(self) -> int:
        """The bytes of everything that the manifest announces."""
        return sum(member.bytes for member in (self.database, *self.blobs))


def blob(sha256: str, size: int) -> Member:
    """The member that holds a blob."""
    return Member(f"blobs/sha256/{sha256[:2]}/{sha256}", sha256, size)


def database(sha256: str, size: int) -> Member:
    """The member that holds the database."""
    return Member(DATABASE, sha256, size)


def write_manifest(file: BinaryIO, manifest: Manifest) -> None:
    """Writes the first member."""
    about = {
        "format": FORMAT,
        "version": VERSION,
        "created_at": manifest.created_at.isoformat(),
        "revision": manifest.revision,
        "database": [manifest.database.sha256, manifest.database.bytes],
        "blobs": [[member.sha256, member.bytes] for member in manifest.blobs],
    }
    content = json.dumps(about, indent=0).encode()
    write_header(file, MANIFEST, len(content), manifest.created_at)
    write_content(file, content)


def write_header(file: BinaryIO, name: str, size: int, when: datetime) -> None:
    """Begins a member: what follows is `size` bytes, written by `write_content`."""
    header = tarfile.TarInfo(name)
    header.size, header.mode, header.mtime = size, 0o600, int(when.timestamp())
    file.write(header.tobuf(tarfile.GNU_FORMAT, "ascii", "strict"))


def write_content(file: BinaryIO, content: bytes) -> None:
    """Writes all the bytes of a member."""
    file.write(content)
    write_padding(file, len(content))


def write_padding(file: BinaryIO, size: int) -> None:
    """Ends a member of `size` bytes."""
    file.write(bytes(-size % _BLOCK))


def write_end(file: BinaryIO) -> None:
    """Ends the archive as `tar` does."""
    file.write(bytes(2 * _BLOCK))


def read_manifest(file: BinaryIO, path: Path) -> Manifest:
    """The manifest of the backup `path`, after checking that the file is as long as the manifest says.

    Raises:
        DamagedError: It is no backup, or cut short, or has something appended.
    """
    size = _read_header(file, MANIFEST, path)
    if size > _LARGEST_MANIFEST:
        raise _damaged(path, "its manifest is too large")
    try:
        manifest = _parsed(json.loads(b"".join(_read_content(file, size, path))))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _damaged(path, f"its manifest cannot be read: {error}") from None
    members = (size, manifest.database.bytes, *(member.bytes for member in manifest.blobs))
    expected = sum(_BLOCK + each + -each % _BLOCK for each in members) + 2 * _BLOCK
    actual = os.fstat(file.fileno()).st_size
    if actual != expected:
        raise _damaged(path, f"it has {actual:,} bytes, its manifest says {expected:,}")
    return manifest


def read_member(file: BinaryIO, member: Member, path: Path, target: Path) -> None:
    """Writes the next member, which must be this one, to the new file `target`, durably.

    Raises:
        DamagedError: It is another member, or its bytes have another digest.
    """
    size = _read_header(file, member.name, path)
    if size != member.bytes:
        raise _damaged(path, f"{member.name} has {size:,} bytes, its manifest says {member.bytes:,}")
    digest = hashlib.sha256()
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as made:
        for chunk in _read_content(file, size, path):
            digest.update(chunk)
            made.write(chunk)
        made.flush()
        os.fsync(made.fileno())
    if digest.hexdigest() != member.sha256:
        raise _damaged(path, f"the bytes of {member.name} have another digest")


def _parsed(about: Any) -> Manifest:
    if about["format"] != FORMAT or about["version"] != VERSION:
        raise ValueError(f"it is a {about['format']!r} of version {about['version']!r}")
    digests = [about["database"], *about["blobs"]]
    for sha256, size in digests:
        if not (isinstance(sha256, str) and _DIGEST.fullmatch(sha256) and type(size) is int and size >= 0):
            raise ValueError(f"{[sha256, size]} is not a digest and a size")
    if len({sha256 for sha256, _ in about["blobs"]}) < len(about["blobs"]):
        raise ValueError("it names a blob twice")
    created_at = datetime.fromisoformat(about["created_at"])
    if created_at.tzinfo is None or created_at.year < 2000:
        raise ValueError(f"{about['created_at']!r} is no time at which it can have been taken")
    return Manifest(
        created_at=created_at,
        revision=str(about["revision"]),
        database=database(*about["database"]),
        blobs=tuple(blob(*each) for each in about["blobs"]),
    )


def _read_header(file: BinaryIO, name: str, path: Path) -> int:
    """The size of the next member, which must be the regular file `name`."""
    try:
        header = tarfile.TarInfo.frombuf(file.read(_BLOCK), "ascii", "strict")
    except (tarfile.TarError, UnicodeDecodeError) as error:
        raise _damaged(path, f"{name} is not where it should be ({error})") from None
    if header.name != name or header.type != tarfile.REGTYPE or header.size < 0:
        raise _damaged(path, f"{name} is not where it should be, but {header.name!r}")
    return header.size


def _read_content(file: BinaryIO, size: int, path: Path) -> Iterator[bytes]:
    left = size
    while left:
        chunk = file.read(min(left, _CHUNK))
        if not chunk:
            raise _damaged(path, "it is cut short")
        left -= len(chunk)
        yield chunk
    file.read(-size % _BLOCK)


def _damaged(path: Path, what: str) -> DamagedError:
    return DamagedError(f"{path} is not a backup that can be restored: {what}. Take another backup file.")
