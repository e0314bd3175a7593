"""GGUF files (llama.cpp's quantised format) turned once into a Hugging Face folder of float32 safetensors."""

import contextlib
import io
import struct
from collections.abc import Iterator
from pathlib import Path

from registry.errors import DamagedError, RegistryError
from trainer.progress import Progress
from trainer.sources.fingerprint import file_digest
from trainer.sources.publish import published

# What transformers raises for a GGUF file that is cut short, damaged, or of an architecture it does not know.
_UNREADABLE = (ValueError, TypeError, LookupError, RuntimeError, OverflowError, OSError, struct.error)

# Raise it when convert_gguf comes to write something else, so that old folders are not taken for new ones.
CONVERSION = 1


def gguf_folder(file: Path, cache: Path, on_progress: Progress) -> Path:
    """The converted folder of a GGUF file in `cache`, named by the file's contents.

    Raises:
        DamagedError: not a GGUF file, or one that cannot be read.
        StorageError: the cache cannot be written.
    """
    with file.open("rb") as opened:
        if opened.read(4) != b"GGUF":
            raise DamagedError(f"{file} is not a GGUF file: it does not start with the letters GGUF")
    digest = file_digest(file, cache)

    def build(work: Path) -> None:
        convert_gguf(file, work / "model", name=file.name, on_progress=on_progress)

    return published(cache / "models" / f"gguf{CONVERSION}-{digest[:16]}", build)


def convert_gguf(file: Path, folder: Path, *, name: str, on_progress: Progress) -> None:
    """Write `file` as config, tokenizer and float32 safetensors into `folder`.

    The bytes depend on the file alone: one metadata key, no date, no machine.

    Raises:
        RegistryError: transformers cannot read this GGUF file.
    """
    stage = f"de-quantise {name}"
    on_progress(stage, 0, 3, "weights, once")
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    # Read through a link in an empty folder, so that files beside it (a config, an adapter) are not mixed in.
    alone = folder.parent / "gguf"
    alone.mkdir()
    (alone / "model.gguf").symlink_to(file.resolve())
    try:
        with _quiet():
            model = AutoModelForCausalLM.from_pretrained(
                alone,
                gguf_file="model.gguf",
                dtype=torch.float32,
                trust_remote_code=False,
                quantization_config=GgufConfig(dequantize=True),
            )
            on_progress(stage, 1, 3, "tokenizer")
            tokenizer = AutoTokenizer.from_pretrained(alone, gguf_file="model.gguf", trust_remote_code=False)
    except _UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RegistryError(f"cannot read GGUF file {file.name}: {reason}") from error
    on_progress(stage, 2, 3, "writing safetensors")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    # save_pretrained refuses a config that still says it is quantised.
    model.config.__dict__.pop("quantization_config", None)
    try:
        with _quiet():
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
    except SafetensorError as error:
        raise OSError(str(error)) from error  # a full disk; safetensors does not say so by type
    on_progress(stage, 3, 3, "done")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars of transformers: progress is reported by our own callback.

    Its GGUF reader draws one bar without asking whether bars are wanted, hence the redirection.
    """
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        if shown:
            logging.enable_progress_bar()
