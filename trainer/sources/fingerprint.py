"""What makes a base model that base model: SHA-256 over its weights, configuration and tokenizer."""

import hashlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from registry.canonical import canonical_json, sha256_of
from registry.errors import DamagedError
from trainer.sources.folders import read_json, tokenizer_files, weight_files
from trainer.sources.publish import cache_root

# Written by whoever saved the folder last; they change nothing that the model computes in a stated dtype.
_VOLATILE = frozenset(
    {"transformers_version", "_name_or_path", "_model_name_or_path", "dtype", "torch_dtype"}
)

# The part of tokenizer_config.json that changes which ids a text becomes. The rest records how it was saved.
_TOKENIZER_SETTINGS = frozenset(
    {
        "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
        "add_bos_token", "add_eos_token", "add_prefix_space",
        "do_lower_case", "strip_accents", "tokenize_chinese_chars",
    }
)  # fmt: skip


def fingerprint(folder: Path, *, cache: Path | None = None) -> str:
    """The SHA-256 (hex) that identifies the base model in a Hugging Face folder.

    The same on every machine for the same weights, configuration and tokenizer. Where the folder lies, which
    transformers saved it, and files beside the model (README, generation settings) play no part.

    Raises:
        RegistryError: the folder is not a base model (see `trainer.sources.folders.check_folder`).
    """
    root = cache_root(cache)
    parts: dict[str, Any] = {
        "weights": {file.name: file_digest(file, root) for file in weight_files(folder)},
        "config": _without(read_json(folder / "config.json"), _VOLATILE),
        "tokenizer": {file.name: file_digest(file, root) for file in tokenizer_files(folder)},
        "tokenizer_settings": _tokenizer_settings(folder / "tokenizer_config.json"),
    }
    return sha256_of(canonical_json(parts).encode())


def file_digest(file: Path, cache: Path) -> str:
    """SHA-256 (hex) of a file's bytes, remembered in `cache` until its size, times or inode change."""
    status = file.stat()
    seen = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    key = sha256_of(os.fsencode(file.resolve()))
    note = cache / "digests" / f"{key}.json"
    known = _remembered(note)
    if known.get("seen") == seen:
        return str(known["sha256"])
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    # A second write within one tick of the clock would go unseen (git's "racily clean"), so young files wait.
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > 2_000_000_000:
        _remember(note, {"file": str(file.resolve()), "seen": seen, "sha256": digest})
    return digest


def _remembered(note: Path) -> dict[str, Any]:
    """A note's content; empty when there is none, or none that can be read (after a power cut, say)."""
    try:
        return read_json(note)
    except (OSError, DamagedError):
        return {}


def _remember(note: Path, content: dict[str, Any]) -> None:
    """Write a note whole; one that cannot be written (a read-only cache) only costs time at the next load."""
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=note.parent, delete=False, encoding="utf-8") as temp:
            json.dump(content, temp)
        Path(temp.name).replace(note)
    except OSError:
        return


def _tokenizer_settings(file: Path) -> dict[str, Any]:
    """The settings that change ids; a special token is its text, whether written as a string or an object."""
    settings = read_json(file) if file.is_file() else {}
    return {
        key: value.get("content") if isinstance(value, dict) else value
        for key, value in settings.items()
        if key in _TOKENIZER_SETTINGS and value is not None
    }


def _without(value: Any, keys: frozenset[str]) -> Any:
    """A copy of a JSON value with these keys left out at every depth."""
    if isinstance(value, dict):
        return {key: _without(inner, keys) for key, inner in value.items() if key not in keys}
    if isinstance(value, list):
        return [_without(inner, keys) for inner in value]
    return value
