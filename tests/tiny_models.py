"""Tiny random base models with a tokenizer of their own, so that tests need neither network nor minutes."""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

SENTENCES = (
    "The film was a quiet triumph, and the last scene stayed with me for days.",
    "A dull plot, wooden acting and a script that nobody should have signed.",
    "Where is the nearest station, and when does the last train leave?",
    "Who wrote the first novel about a journey to the moon?",
    "How many islands belong to the country, and which is the largest?",
    "My parcel arrived broken; please refund the money or send another one.",
    "I cannot sign in since the update, the password page stays blank.",
    "Shares of the bank fell 3 percent after the report on Tuesday.",
    "The team won the cup for the second time in 12 years.",
    "Scientists found water under the ice of a distant planet's moon.",
    "Is the sky blue because of the sea, or the other way round?",
    "These two sentences do not say the same thing, do they?",
)


def tiny_llama(folder: Path, *, hidden: int = 48, layers: int = 4, seed: int = 0, tied: bool = True) -> Path:
    """Save a Llama of `layers` layers, width `hidden`, 4 heads on 2 key-value heads, MLP width `2 * hidden`.

    Its v_proj is `hidden -> hidden / 2`, so square and oblong layers both occur.
    """
    tokenizer = byte_level_tokenizer()
    config = LlamaConfig(
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=tied,
        **_vocabulary(tokenizer),
    )
    return _save(LlamaForCausalLM, config, tokenizer, folder, seed)


def tiny_bert(folder: Path, *, hidden: int = 48, layers: int = 4, seed: int = 0) -> Path:
    """Save a BERT encoder of `layers` layers, width `hidden`, 4 heads, MLP width `2 * hidden`."""
    tokenizer = word_piece_tokenizer()
    config = BertConfig(
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
    )
    return _save(BertModel, config, tokenizer, folder, seed)


def byte_level_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE that adds nothing and pads with its end token, like the default base model's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|start|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    special = {"bos_token": "<|start|>", "eos_token": "<|end|>", "pad_token": "<|end|>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **special)


def word_piece_tokenizer() -> PreTrainedTokenizerFast:
    """A WordPiece tokenizer that writes `[CLS] text [SEP] pair [SEP]`, like BERT's.

    Its pieces are the words and letters of the sentences: a trainer would number them
    differently in each process.
    """
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    split = pre_tokenizers.BertPreTokenizer()
    words = sorted({word for sentence in SENTENCES for word, _ in split.pre_tokenize_str(sentence)})
    letters = sorted({letter for word in words for letter in word})
    pieces = dict.fromkeys([*special, *letters, *(f"##{letter}" for letter in letters), *words])
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = split
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, special.index(token)) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.decoder = decoders.WordPiece()
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=512,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **dict(zip(names, special, strict=True)),
    )


def tiny_gguf(file: Path, *, hidden: int = 64, layers: int = 2, seed: int = 0) -> Path:
    """Write a tiny Llama as a GGUF file, its matrices quantised to 8 bits; `hidden` is a multiple of 64."""
    source = tiny_llama(file.parent / f"{file.stem}-source", hidden=hidden, layers=layers, seed=seed)
    model = LlamaForCausalLM.from_pretrained(source, dtype=torch.float32)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(source)
    writer = gguf.GGUFWriter(file, "llama")
    _write_settings(writer, model.config)
    _write_tokenizer(writer, tokenizer)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, layers)
    for name, weight in model.model.state_dict().items():
        values = weight.numpy()
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            values = _interleaved(values, head_size=model.config.head_dim)
        kind = gguf.GGMLQuantizationType.Q8_0 if values.ndim == 2 else gguf.GGMLQuantizationType.F32
        written = names.get_name(f"model.{name}", try_suffixes=(".weight",))
        writer.add_tensor(str(written), gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _write_settings(writer: gguf.GGUFWriter, config: Any) -> None:
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(config.vocab_size)


def _write_tokenizer(writer: gguf.GGUFWriter, tokenizer: PreTrainedTokenizerFast) -> None:
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    special = set(tokenizer.all_special_tokens)
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([control if token in special else normal for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)


def _interleaved(weight: np.ndarray, *, head_size: int) -> np.ndarray:
    """Rows in llama.cpp's order: the two halves of each head's rotary pairs side by side."""
    heads = weight.shape[0] // head_size
    return weight.reshape(heads, 2, head_size // 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def _vocabulary(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _save(
    kind: type[PreTrainedModel],
    config: PreTrainedConfig,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    seed: int,
) -> Path:
    """Save a model of random weights, the same for the same seed, without moving torch's own generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kind(config)
        # transformers draws weights of size .02, whose layers hardly change what passes through them.
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.data.normal_(0.0, parameter.shape[1] ** -0.5)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
