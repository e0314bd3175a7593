"""A batch for many LoRA adapters as PEFT runs it: `adapter_names` says which adapter each text has.

PEFT knows no router, so a pass of the bare base model goes before, as two-pass routing needs it.
"""

from collections.abc import Sequence

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import AutoModel

from trainer import sources
from trainer.base_model import BaseModel
from trainer.experts import ExpertModule
from trainer.tokens import Batch


class MixedLora:
    """PEFT with one LoRA for each expert: the same rank, the same linear layers, the same numbers.

    Args:
        first: layer from which on they act; 0 for all layers, as PEFT does by itself.
    """

    def __init__(self, base: BaseModel, modules: Sequence[ExpertModule], *, first: int) -> None:
        bare = AutoModel.from_pretrained(sources.resolve(base.record.spec).folder, dtype=torch.float32)
        self.names = [f"expert{place}" for place in range(len(modules))]
        rank = modules[0].architecture.adapter_config["rank"]
        layers = "|".join(map(str, range(first, base.layers)))
        config = LoraConfig(
            r=rank,
            lora_alpha=rank,
            target_modules=rf"layers\.({layers})\.self_attn\.[qv]_proj",
        )
        self.model = get_peft_model(bare, config, adapter_name=self.names[0])
        for name in self.names[1:]:
            self.model.add_adapter(name, config)
        self.model.eval().requires_grad_(False)
        for name, module in zip(self.names, modules, strict=True):
            self._fill(name, module)

    def _fill(self, name: str, module: ExpertModule) -> None:
        with torch.no_grad():
            for (layer, place), parts in module.visitor().parts.items():
                target = self.model.get_submodule(f"base_model.model.layers.{layer}.{place}")
                target.lora_A[name].weight.copy_(parts["a"].T)
                target.lora_B[name].weight.copy_(parts["b"].T)

    @torch.no_grad()
    def run(self, batch: Batch, slots: Sequence[int]) -> Tensor:
        """Final states `(batch, length, hidden)`, each text with the adapter of its slot."""
        found: Tensor = self.model(
            input_ids=batch.ids,
            attention_mask=batch.mask,
            use_cache=False,
            adapter_names=[self.names[slot] for slot in slots],
        ).last_hidden_state
        return found
