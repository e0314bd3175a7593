"""GGUF files: the weights that come out are the weights that went in, to the quantisation's rounding."""

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from registry.errors import DamagedError, RegistryError
from tests.tiny_models import SENTENCES, tiny_gguf
from trainer.sources import Source, resolve


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf(tmp_path_factory.mktemp("gguf") / "model.gguf")


@pytest.fixture(scope="module")
def source(file: Path) -> Source:
    return resolve(str(file), cache=file.parent / "cache")


def original(file: Path) -> Path:
    return file.parent / "model-source"


def test_the_converted_folder_is_kept_by_contents(file: Path, source: Source, tmp_path: Path) -> None:
    assert (source.spec, source.name) == (str(file), "model")
    copy = tmp_path / "other name.GGUF"
    copy.write_bytes(file.read_bytes())
    assert resolve(str(copy), cache=file.parent / "cache").folder == source.folder


def test_every_weight_is_what_its_blocks_say(file: Path, source: Source) -> None:
    before = load_file(original(file) / "model.safetensors")
    after = load_file(source.folder / "model.safetensors")
    assert before.keys() == after.keys()
    for name, weight in before.items():
        kind = gguf.GGMLQuantizationType.Q8_0 if weight.ndim == 2 else gguf.GGMLQuantizationType.F32
        rounded = gguf.quants.dequantize(gguf.quants.quantize(weight.numpy(), kind), kind)
        np.testing.assert_array_equal(after[name].numpy(), rounded)


def test_the_tokenizer_gives_the_same_ids_and_can_pad(file: Path, source: Source) -> None:
    before, after = (AutoTokenizer.from_pretrained(folder) for folder in (original(file), source.folder))
    texts = [*SENTENCES, "<|start|>user 12345 \t\n été 語 🙂<|end|>"]
    assert after(texts)["input_ids"] == before(texts)["input_ids"]
    assert after.pad_token == "<|end|>"


def test_the_outputs_differ_by_rounding_only(file: Path, source: Source) -> None:
    ids = torch.arange(20)[None]
    logits = [
        AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, dtype=torch.float32)(ids).logits
        for folder in (original(file), source.folder)
    ]
    torch.testing.assert_close(logits[0], logits[1], atol=0.2, rtol=0)
    assert logits[0].std() > 0.5


def test_files_beside_the_gguf_play_no_part(file: Path, source: Source, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(file.read_bytes())
    for name in ("config.json", "adapter_config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_text("{}")
    again = resolve(str(tmp_path / "model.gguf"), cache=tmp_path / "cache")
    assert again.fingerprint == source.fingerprint


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04\x95pickle"])
def test_a_file_that_only_has_the_name_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(content)
    with pytest.raises(DamagedError, match="does not start with the letters GGUF"):
        resolve(str(tmp_path / "model.gguf"))


@pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.99])
def test_a_file_cut_short_is_one_line_and_leaves_nothing(part: float, file: Path, tmp_path: Path) -> None:
    content = file.read_bytes()
    (tmp_path / "model.gguf").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(RegistryError, match=r"^cannot read GGUF file model\.gguf: [^\n]+$"):
        resolve(str(tmp_path / "model.gguf"), cache=tmp_path / "cache")
    assert [left.suffix for left in (tmp_path / "cache" / "models").iterdir()] == [".lock"]


def test_an_architecture_unknown_to_transformers_is_one_line(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "unheard-of")
    writer.add_block_count(1)
    writer.add_tensor("token_embd.weight", np.zeros((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(RegistryError, match=r"cannot read GGUF file model\.gguf: .*unheard-of"):
        resolve(str(tmp_path / "model.gguf"), cache=tmp_path / "cache")
