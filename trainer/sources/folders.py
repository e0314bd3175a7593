"""What a folder must hold to be a base model: configuration, safetensors, tokenizer. Nothing is unpickled."""

import json
from pathlib import Path
from typing import Any

from registry.errors import DamagedError, InvalidSettingError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
# In order of preference; with tokenizer.json the older files are not read.
_TOKENIZERS: tuple[tuple[str, ...], ...] = (
    ("tokenizer.json",),
    ("tokenizer.model",),
    ("vocab.json", "merges.txt"),
    ("vocab.txt",),
)
_WHOLE = "; a base model folder holds config.json, model.safetensors and tokenizer.json"
_LARGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors format itself


def check_folder(folder: Path) -> None:
    """Refuse a folder that is not a complete base model.

    Raises:
        InvalidSettingError: a part is missing, or the weights are there only as a pickle.
        DamagedError: a file is not what its name says.
    """
    if not (folder / "config.json").is_file():
        raise InvalidSettingError(f"{folder} is not a base model: it holds no config.json{_WHOLE}")
    read_json(folder / "config.json")
    for file in weight_files(folder):
        check_safetensors(file)
    tokenizer_files(folder)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of the weights, as transformers finds them: one, or the shards of an index.

    Raises:
        InvalidSettingError: there are none, or a shard is missing.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        shards = sorted({str(name) for name in read_json(folder / INDEX).get("weight_map", {}).values()})
        for shard in shards:
            if Path(shard).name != shard or not (folder / shard).is_file():
                raise InvalidSettingError(f"{folder} is incomplete: {INDEX} names {shard!r}, not there")
        if shards:
            return [folder / shard for shard in shards]
    pickles = sorted(file.name for pattern in ("*.bin", "*.pt", "*.pth") for file in folder.glob(pattern))
    if pickles:
        raise InvalidSettingError(
            f"{folder} holds its weights only as a pickle ({pickles[0]}); pickles can run code, so they are "
            "never unpickled: save it again with transformers (save_pretrained writes model.safetensors)"
        )
    raise InvalidSettingError(f"{folder} is not a base model: it holds no {WEIGHTS}{_WHOLE}")


def tokenizer_files(folder: Path) -> list[Path]:
    """The files that define the tokenizer.

    Raises:
        InvalidSettingError: there are none.
    """
    for names in _TOKENIZERS:
        if all((folder / name).is_file() for name in names):
            return [folder / name for name in names]
    raise InvalidSettingError(f"{folder} is not a base model: it holds no tokenizer.json{_WHOLE}")


def check_safetensors(file: Path) -> None:
    """Refuse a file whose header and length do not make a safetensors file (a pickle, a cut download).

    Raises:
        DamagedError: with the reason.
    """
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if size < 8 or length > min(size - 8, _LARGEST_HEADER):
            raise DamagedError(f"{file} is not a safetensors file or was cut short: its header does not fit")
        header = opened.read(length)
    try:
        entries: dict[str, Any] = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DamagedError(f"{file} is not a safetensors file: its header is not readable") from error
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise DamagedError(f"{file} has {size} bytes where its header promises {expected}: fetch it again")


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        DamagedError: the file does not hold one.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DamagedError(f"{file} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise DamagedError(f"{file} holds no JSON object")
    return content
