"""TT-LoRA: its factorisation, its index order, the paper's shapes, and that it is exactly a LoRA."""

import math
from itertools import product
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import AutoModel, LlamaConfig, LlamaModel

from trainer.adapters import tt_lora
from trainer.adapters.tt_lora import Adapter, Config, configure, factorise, modes
from trainer.base_model import BaseModel
from trainer.experts import ExpertModule, design


def is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, math.isqrt(number) + 1))


@given(st.integers(1, 4096), st.integers(1, 4))
def test_factors_multiply_to_the_size_and_descend(size: int, parts: int) -> None:
    factors = factorise(size, parts)
    assert (math.prod(factors), len(factors)) == (size, parts)
    assert factors == sorted(factors, reverse=True)


@given(st.integers(1, 2000))
def test_two_factors_are_as_square_as_they_can_be(size: int) -> None:
    best = min(divisor + size // divisor for divisor in range(1, size + 1) if size % divisor == 0)
    assert sum(factorise(size, 2)) == best


@pytest.mark.parametrize("prime", [number for number in range(2, 60) if is_prime(number)])
def test_a_prime_keeps_itself_and_ones(prime: int) -> None:
    assert factorise(prime, 3) == [prime, 1, 1]


def test_sizes_of_common_models() -> None:
    sizes = (576, 192, 2048, 512, 384, 768, 1536)
    assert {size: factorise(size, 2) for size in sizes} == {
        576: [24, 24],
        192: [16, 12],
        2048: [64, 32],
        512: [32, 16],
        384: [24, 16],
        768: [32, 24],
        1536: [48, 32],
    }


def test_modes_mirror_each_other_around_the_boundary() -> None:
    assert modes(Config(), 576, 192) == ([24, 24], [12, 16])
    assert modes(configure(preset="paper"), 2048, 2048) == ([16, 8, 4, 4], [4, 4, 8, 16])
    assert modes(configure(preset="paper"), 2048, 512) == ([16, 16, 4, 2], [2, 16, 16])
    assert modes(configure(preset="paper"), 48, 24) == ([4, 3, 2, 2], [2, 2, 2, 3])


def llama_3_2_1b() -> LlamaModel:
    """Its layers without their numbers."""
    config = LlamaConfig(
        hidden_size=2048,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=64,
        intermediate_size=8192,
        vocab_size=128256,
    )
    with torch.device("meta"):
        return LlamaModel(config)


def test_the_paper_preset_has_the_papers_33920_parameters_on_llama_3_2_1b() -> None:
    config, generator = configure(preset="paper"), torch.Generator()
    sizes: dict[str, list[int]] = {"q_proj": [], "v_proj": []}
    for name, layer in llama_3_2_1b().named_modules():
        suffix = name.rsplit(".", 1)[-1]
        if suffix in sizes and isinstance(layer, nn.Linear):
            adapter = Adapter(config, layer.in_features, layer.out_features, generator, name)
            sizes[suffix].append(sum(parameter.numel() for parameter in adapter.parameters()))
    assert sizes == {"q_proj": [960] * 16, "v_proj": [1160] * 16}
    assert sum(sizes["q_proj"] + sizes["v_proj"]) == 33_920


def test_the_paper_preset_starts_with_cores_of_norm_one() -> None:
    adapter = Adapter(
        configure(preset="paper"), 2048, 512, torch.Generator().manual_seed(0), "layer 0 v_proj"
    )
    norms = torch.stack([core.norm() for core in adapter.cores])
    assert torch.allclose(norms, torch.ones(7))
    assert adapter.config.alpha == 16.0


def test_the_first_input_mode_runs_fastest_and_the_first_output_mode_slowest() -> None:
    config = Config(rank=3, alpha=2.0, shapes={"24x12": [[4, 3, 2], [2, 3, 2]]}, zero_start=False)
    adapter = Adapter(config, 24, 12, torch.Generator().manual_seed(0), "layer 0 q_proj").double()
    cores = [core.detach() for core in adapter.cores]
    dense = torch.zeros(24, 12, dtype=torch.float64)
    for i1, i2, i3 in product(range(4), range(3), range(2)):
        for o1, o2, o3 in product(range(2), range(3), range(2)):
            entry = torch.eye(1, dtype=torch.float64)
            for core, index in zip(cores, (i1, i2, i3, o1, o2, o3), strict=True):
                entry = entry @ core[:, index]
            dense[i1 + 4 * i2 + 4 * 3 * i3, 3 * 2 * o1 + 2 * o2 + o3] = 2.0 * entry.item()
    assert torch.allclose(adapter.dense(), dense, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(48, 24), (30, 7), (13, 13), (2048, 512)])
def test_its_dense_form_has_the_rank_of_the_boundary(size: tuple[int, int]) -> None:
    config = Config(rank=5, zero_start=False)
    adapter = Adapter(config, *size, torch.Generator().manual_seed(0), "layer 0 q_proj").double()
    assert torch.linalg.matrix_rank(adapter.dense()) == 5


# peft asks transformers for it by its old name.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_a_tt_lora_expert_is_exactly_a_lora_for_peft(llama: BaseModel, tiny_llama_folder: Path) -> None:
    plan = design(
        llama,
        task_kind="classification",
        labels=("a", "b"),
        adapter="tt_lora",
        preset="default",
        rank=5,
        alpha=None,
        first_layer=1,
        max_length=64,
    )
    module = ExpertModule(llama, plan)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.adapters.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    found = module.visitor().parts
    factors = {place: (parts["a"].detach(), parts["b"].detach()) for place, parts in found.items()}
    lora = LoraConfig(r=5, lora_alpha=5, target_modules=r"layers\.[123]\.self_attn\.[qv]_proj")
    exported = get_peft_model(AutoModel.from_pretrained(tiny_llama_folder, dtype=torch.float32), lora).eval()
    filled = set()
    with torch.no_grad():
        for (layer, name), (a, b) in factors.items():
            target = exported.get_submodule(f"base_model.model.layers.{layer}.{name}")
            target.lora_A["default"].weight.copy_(a.T)
            target.lora_B["default"].weight.copy_(b.T)
            filled.add(target)
        assert {one for one in exported.modules() if hasattr(one, "lora_A")} == filled
        batch = llama.batch(llama.tokenize(["The film was a quiet triumph.", "Where is it?"], 64))
        ours = llama.forward(batch, module.visitor())
        theirs = exported(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False).last_hidden_state
        plain = llama.forward(batch)
    kept = batch.mask.bool()
    assert torch.allclose(ours[kept], theirs[kept], atol=1e-5)
    assert not torch.allclose(ours[kept], plain[kept], atol=1e-2)


@pytest.mark.parametrize("size", [(48, 48), (48, 24), (30, 7)])
@pytest.mark.parametrize("cores", [(2, 2), (3, 2), (1, 3)])
def test_cores_come_back_from_the_update_that_they_make(
    size: tuple[int, int], cores: tuple[int, int]
) -> None:
    config = tt_lora.Config(rank=3, input_cores=cores[0], output_cores=cores[1])
    adapter = tt_lora.Adapter(config, *size, torch.Generator().manual_seed(0), "a layer")
    generator = torch.Generator().manual_seed(1)
    stacked = {
        name: torch.randn(4, *value.shape, generator=generator)
        for name, value in adapter.state_dict().items()
    }
    parts = tt_lora.parts(config, *size, stacked)
    wanted = parts["a"] @ parts["b"]
    for rank, alpha in ((3, 4.0), (5, 0.5)):
        own = tt_lora.Config(rank=rank, alpha=alpha, input_cores=cores[0], output_cores=cores[1])
        found = tt_lora.values(own, *size, parts)
        shapes = tt_lora.Adapter(own, *size, torch.Generator(), "a layer").state_dict()
        assert {name: (4, *value.shape) for name, value in shapes.items()} == {
            name: tuple(value.shape) for name, value in found.items()
        }
        again = tt_lora.parts(own, *size, found)
        assert torch.allclose(again["a"] @ again["b"], wanted, atol=1e-4 * wanted.abs().max().item())


def test_rounding_loses_no_more_than_the_bound_of_tt_svd() -> None:
    """The squares of what is cut between the modes, added up."""
    generator = torch.Generator().manual_seed(0)
    parts = {"a": torch.randn(24, 6, generator=generator), "b": torch.randn(6, 12, generator=generator)}
    wanted = (parts["a"] @ parts["b"]).double()
    config = tt_lora.Config(rank=3)
    ins, outs = tt_lora.modes(config, 24, 12)
    tensor = wanted.reshape(*ins[::-1], *outs).permute(1, 0, 2, 3)
    bound = sum(
        torch.linalg.svdvals(tensor.reshape(math.prod(tensor.shape[:place]), -1))[3:].square().sum()
        for place in (1, 2, 3)
    )
    again = tt_lora.parts(config, 24, 12, tt_lora.values(config, 24, 12, parts))
    lost = (again["a"] @ again["b"] - wanted).square().sum()
    best = torch.linalg.svdvals(wanted)[3:].square().sum()
    assert best <= lost <= bound * (1 + 1e-5)
