"""The upper part of a transformer is exactly the rest of it, also where models count in their own ways."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    BertModel,
    Gemma2Config,
    Gemma2Model,
    LlamaModel,
    Qwen3Config,
    Qwen3Model,
    RobertaConfig,
    RobertaModel,
)

from registry.errors import InvalidSettingError
from tests.tiny_models import word_piece_tokenizer
from trainer import sources
from trainer.base_model import BaseModel
from trainer.stack import count_positions, find_stack, upper_part

SIZES = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "vocab_size": 300,
    "pad_token_id": 1,
}
GROUPED = {
    **SIZES,
    "num_key_value_heads": 2,
    "head_dim": 12,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "use_cache": False,
}
MIXED = ["sliding_attention", "full_attention"] * 2


def gemma() -> nn.Module:
    return Gemma2Model(Gemma2Config(**GROUPED, sliding_window=4, layer_types=MIXED)).eval()


def qwen() -> nn.Module:
    return Qwen3Model(Qwen3Config(**GROUPED)).eval()


def roberta() -> nn.Module:
    return RobertaModel(RobertaConfig(**SIZES, max_position_embeddings=34, type_vocab_size=1)).eval()


@pytest.mark.parametrize("layer", [1, 2, 3])
@pytest.mark.parametrize("make", [gemma, qwen, roberta])
@torch.no_grad()
def test_the_upper_part_goes_on_where_the_lower_part_ends(make: type, layer: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = make()
    path, stack = find_stack(model)
    seen: list[Tensor] = []

    def keep(_module: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
        seen.append(args[0] if args else kwargs["hidden_states"])

    handle = stack[layer].register_forward_pre_hook(keep, with_kwargs=True)
    mask = torch.tensor([[1] * 12, [1] * 9 + [0] * 3])
    ids = torch.arange(4, 28).reshape(2, 12).where(mask.bool(), torch.tensor(1))
    whole = model(input_ids=ids, attention_mask=mask).last_hidden_state
    handle.remove()
    upper = upper_part(model, path, layer)(inputs_embeds=seen[0], attention_mask=mask).last_hidden_state
    assert torch.allclose(upper[mask.bool()], whole[mask.bool()], atol=1e-6)
    assert torch.equal(model(input_ids=ids, attention_mask=mask).last_hidden_state, whole)


@torch.no_grad()
def test_as_many_positions_as_a_model_can_read() -> None:
    model = roberta()
    assert count_positions(model) == 32
    assert model(input_ids=torch.full((1, 32), 5)).last_hidden_state.isfinite().all()
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, 33), 5))


def test_positions_of_the_others_are_those_of_their_config(llama: BaseModel, bert: BaseModel) -> None:
    assert isinstance(llama.model, LlamaModel)
    assert isinstance(bert.model, BertModel)
    assert (llama.max_positions, bert.max_positions) == (2048, 512)


def test_what_has_no_stack_of_layers_is_refused() -> None:
    model = qwen()
    model.config.num_hidden_layers = 5
    with pytest.raises(InvalidSettingError, match="Qwen3Model has no list of 5 layers"):
        find_stack(model)


def test_a_roberta_is_a_base_model_too(tmp_path: Path, session_cache: Path) -> None:
    tokenizer = word_piece_tokenizer()
    config = RobertaConfig(
        **{**SIZES, "vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id},
        max_position_embeddings=40,
        type_vocab_size=1,
    )
    RobertaModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    base = BaseModel(sources.resolve(str(tmp_path), cache=session_cache), "cpu")
    assert (base.is_decoder, base.max_positions, base.can_resume_at(2)) == (False, 39, True)
    assert base.forward(base.batch(base.tokenize(["the moon " * 40], 39))).isfinite().all()
    with pytest.raises(InvalidSettingError, match="choose 1 to 39"):
        base.tokenize(["the moon"], 40)
