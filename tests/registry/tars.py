"""Backups as tars that a test can take apart and put together otherwise."""

import json
import tarfile
from pathlib import Path


def members(file: Path) -> list[tuple[str, bytes]]:
    with tarfile.open(file) as archive:
        return [(member.name, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]


def rewrite(file: Path, content: list[tuple[str, bytes]], kind: bytes = tarfile.REGTYPE) -> None:
    """A tar of these members as `registry backup` would write it, except for `kind` of the last."""
    with file.open("wb") as made:
        for number, (name, data) in enumerate(content, 1):
            header = tarfile.TarInfo(name)
            header.size = len(data)
            header.type = kind if number == len(content) else tarfile.REGTYPE
            made.write(header.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512))
        made.write(bytes(1024))


def changed_manifest(content: list[tuple[str, bytes]], **change: object) -> list[tuple[str, bytes]]:
    about = {**json.loads(content[0][1]), **change}
    return [("manifest.json", json.dumps(about, indent=0).encode()), *content[1:]]
