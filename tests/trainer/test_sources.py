"""What counts as a base model, what it is called, and what makes two of them the same."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, LlamaForCausalLM

from registry.errors import DamagedError, InvalidSettingError, NotFoundError
from trainer.sources import fingerprint, resolve

Change = Callable[[Path], object]


@pytest.fixture
def folder(tiny_llama_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_llama_folder, tmp_path / "model"))


def edit_json(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def flip_last_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def test_a_folder_resolves_to_itself_and_loads(folder: Path) -> None:
    source = resolve(str(folder))
    assert (source.spec, source.name, source.folder, source.revision) == (str(folder), "model", folder, None)
    model = AutoModel.from_pretrained(source.folder, use_safetensors=True, dtype=torch.float32)
    assert model.config.num_hidden_layers == 4


def test_a_path_that_exists_wins_over_a_hub_id(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.parent / "org").mkdir()
    folder.rename(folder.parent / "org" / "name")
    monkeypatch.chdir(folder.parent)
    assert resolve("org/name").folder == folder.parent / "org" / "name"


def test_weights_in_shards_resolve(folder: Path) -> None:
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="100KB")
    shards = sorted(folder.glob("*.safetensors"))
    assert len(shards) > 1
    before = resolve(str(folder)).fingerprint
    flip_last_byte(shards[-1])
    assert resolve(str(folder)).fingerprint != before
    shards[0].unlink()
    with pytest.raises(InvalidSettingError, match=f"names '{shards[0].name}', not there"):
        resolve(str(folder))


def test_an_index_cannot_name_files_outside_its_folder(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "model.safetensors")
    index = {"weight_map": {"weight": "../model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InvalidSettingError, match=r"names '\.\./model\.safetensors', not there"):
        resolve(str(folder))


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_that_lacks_a_part_is_refused(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(InvalidSettingError, match=f"is not a base model: it holds no {missing}"):
        resolve(str(folder))


def test_weights_that_are_only_a_pickle_are_refused_unread(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch read'\ntR.")
    with pytest.raises(InvalidSettingError, match=r"pytorch_model\.bin.*never unpickled: save it again"):
        resolve(str(folder))


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"\x80\x04\x95" + bytes(100), (2).to_bytes(8, "little") + b"[]", bytes(8)],
    ids=["empty", "zip", "pickle", "list", "no header"],
)
def test_weights_that_are_not_safetensors_are_refused(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(DamagedError, match="is not a safetensors file"):
        resolve(str(folder))


def test_weights_cut_short_are_refused(folder: Path) -> None:
    file = folder / "model.safetensors"
    os.truncate(file, file.stat().st_size - 1)
    with pytest.raises(DamagedError, match="its header promises"):
        resolve(str(folder))


def test_a_configuration_that_is_not_json_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(DamagedError, match=r"config\.json is not JSON"):
        resolve(str(folder))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "smollm2",
            r"unknown base model 'smollm2'; give minilm-l6, smollm2-135m, .* Did you mean 'smollm2-135m'\?",
        ),
        ("a/b/c", "unknown base model 'a/b/c'"),
        ("", "unknown base model ''"),
        ("./nothing", r"there is no folder or file '\./nothing'"),
        ("models/nothing.gguf", r"there is no folder or file 'models/nothing\.gguf'"),
    ],
)
def test_a_name_of_nothing_is_not_found(spec: str, message: str) -> None:
    with pytest.raises(NotFoundError, match=message):
        resolve(spec)


def test_a_file_that_is_not_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(InvalidSettingError, match=r"give a Hugging Face folder or a \.gguf file"):
        resolve(str(tmp_path / "model.bin"))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: flip_last_byte(folder / "model.safetensors"),
        lambda folder: edit_json(folder / "config.json", rms_norm_eps=1e-5),
        lambda folder: flip_last_byte(folder / "tokenizer.json"),
        lambda folder: edit_json(folder / "tokenizer_config.json", pad_token="<|start|>"),
    ],
    ids=["weight", "config", "tokenizer", "special token"],
)
def test_another_model_has_another_fingerprint(folder: Path, change: Change) -> None:
    before = fingerprint(folder)
    change(folder)
    assert fingerprint(folder) != before


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: edit_json(
            folder / "config.json", transformers_version="9.9", _name_or_path="/elsewhere"
        ),
        lambda folder: edit_json(folder / "tokenizer_config.json", is_local=False, name_or_path="/elsewhere"),
        lambda folder: edit_json(folder / "tokenizer_config.json", pad_token={"content": "<|end|>"}),
        lambda folder: (folder / "README.md").write_text("Read me."),
        lambda folder: (folder / "generation_config.json").unlink(),
    ],
    ids=["who saved it", "where it was", "token as object", "readme", "generation settings"],
)
def test_the_same_model_keeps_its_fingerprint(folder: Path, change: Change) -> None:
    before = fingerprint(folder)
    change(folder)
    assert fingerprint(folder) == before


def test_a_fingerprint_does_not_depend_on_the_place(folder: Path) -> None:
    assert fingerprint(folder) == fingerprint(Path(shutil.copytree(folder, folder.parent / "elsewhere")))


def test_a_remembered_digest_is_dropped_when_the_bytes_change(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    weights = folder / "model.safetensors"
    time.sleep(2.1)  # younger files are not remembered
    before = fingerprint(folder, cache=cache)
    notes = {json.loads(note.read_text())["file"] for note in (cache / "digests").iterdir()}
    assert notes == {str(weights), str(folder / "tokenizer.json")}
    assert fingerprint(folder, cache=cache) == before

    old = weights.stat()
    flip_last_byte(weights)
    os.utime(weights, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert fingerprint(folder, cache=cache) != before

    flip_last_byte(weights)
    for note in (cache / "digests").iterdir():
        note.write_bytes(b"")  # as a power cut may leave it
    assert fingerprint(folder, cache=cache) == before
