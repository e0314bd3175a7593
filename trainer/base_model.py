"""The frozen base model: tokens in, hidden states out, with two places where others may look in or add to it.

Hooks sit on every layer and every linear layer of an unmodified Hugging Face model. They do nothing until a
`Visitor` is passed to a forward: then it sees the hidden states that enter each layer and may change each
linear layer's output. The visitor lives in thread-local state for the length of one call, so threads do not
disturb each other.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, Cache
from transformers.utils import logging as transformers_logging

import registry
from registry.errors import InvalidSettingError, NotFoundError
from trainer import denormals, sources
from trainer.inputs import Text
from trainer.progress import Progress, silent
from trainer.stack import count_positions, find_stack, upper_part
from trainer.tokens import Batch, Tokens
from trainer.unembedding import Unembedding
from trainer.visitors import LAST, MEAN, Stop, StopAt, Taps, Visitor


class BaseModel:
    """A frozen pretrained transformer, ready to run.

    Attributes:
        record: what the registry keeps of it, its fingerprint among it.
        layers: number of transformer layers; hidden: width of the states.
        is_decoder: causal (its last token has seen the text) or bidirectional.
        dtype: number type of its products: bfloat16 on a GPU that has it, else float32. Its weights, what
            visitors see and what comes out are float32 everywhere.
    """

    def __init__(self, source: sources.Source, device: str) -> None:
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        self.device = choose_device(device)
        on_gpu = self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        self.dtype = torch.bfloat16 if on_gpu else torch.float32
        self._folder = source.folder
        load = {"trust_remote_code": False, "local_files_only": True}
        self.tokenizer = AutoTokenizer.from_pretrained(source.folder, **load)
        with denormals.flushed():  # torch starts its worker threads here
            model = AutoModel.from_pretrained(
                source.folder, use_safetensors=True, dtype=torch.float32, **load
            )
        self.model = model.to(self.device).eval().requires_grad_(False)
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.stack_name, stack = find_stack(self.model)
        self.layers = len(stack)
        self.hidden = int(self.model.config.hidden_size)
        self.max_positions = count_positions(self.model)
        self.is_decoder = not hasattr(self.model, "embeddings")
        self.record = registry.BaseModel(
            fingerprint=source.fingerprint,
            spec=source.spec,
            name=source.name,
            architecture=type(self.model).__name__,
            hidden_size=self.hidden,
            layers=self.layers,
            parameters=sum(p.numel() for p in self.model.parameters()),
            created_at=datetime.now(UTC),
        )
        self._local = threading.local()
        self._linear: dict[str, tuple[int, int]] = {}
        self._install(stack)

    @classmethod
    def load(
        cls, spec: str | None = None, *, device: str = "auto", on_progress: Progress = silent
    ) -> "BaseModel":
        """Resolve a spec (see `trainer.sources`) and load what it names."""
        return cls(sources.resolve(spec, on_progress=on_progress), device)

    @property
    def pooling(self) -> int:
        """Index of the pooled state that a head reads: the last token's of a decoder, the mean of an
        encoder."""
        return LAST if self.is_decoder else MEAN

    def targets(self, names: Sequence[str]) -> dict[str, tuple[int, int]]:
        """The linear layers of each layer that adapters attach to: full name inside the layer -> (inputs,
        outputs).

        Args:
            names: last names, such as `q_proj`; one with a dot is a full name, such as `output.dense`.

        Raises:
            NotFoundError: there is none of them.
        """
        chosen = {
            name: size
            for name, size in self._linear.items()
            if name in names or name.rsplit(".", 1)[-1] in names
        }
        if not chosen:
            last = Counter(name.rsplit(".", 1)[-1] for name in self._linear)
            # A name that several of them end with is told in full.
            known = sorted(
                name if last[end] > 1 else end for name in self._linear for end in (name.rsplit(".", 1)[-1],)
            )
            raise NotFoundError(
                f"no linear layer called {', '.join(names)}; this model has {', '.join(known)}"
            )
        return chosen

    def weight(self, layer: int, module: str) -> Tensor:
        """The weight of the linear layer called `module` inside a layer, `(inputs, outputs)`."""
        linear = self.model.get_submodule(f"{self.stack_name}.{layer}.{module}")
        assert isinstance(linear, nn.Linear)
        return linear.weight.T

    def tokenize(self, texts: Sequence[Text], max_length: int) -> list[Tokens]:
        """Token ids of each text, cut at `max_length` tokens. An empty text becomes one end token."""
        if not 1 <= max_length <= self.max_positions:
            raise InvalidSettingError(
                f"max length {max_length} does not fit {self.record.name}: choose 1 to {self.max_positions}"
            )
        pairs = [(text, None) if isinstance(text, str) else text for text in texts]
        return [self._tokenize_one(first, second, max_length) for first, second in pairs]

    def _tokenize_one(self, text: str, pair: str | None, max_length: int) -> Tokens:
        if pair is not None and self.is_decoder:
            # Decoders have no separator of their own: without one, "a b" + "c" and "a" + "b c" would be the
            # same text.
            encoded = self.tokenizer(f"{text}\n{pair}", verbose=False)
        else:
            encoded = self.tokenizer(text, pair, verbose=False)
        ids = list(encoded["input_ids"])
        types = list(encoded.get("token_type_ids") or [0] * len(ids))
        if len(ids) > max_length and not self.is_decoder:
            ids, types = [*ids[: max_length - 1], ids[-1]], types[:max_length]
        if not ids:
            ids, types = [self.tokenizer.eos_token_id], [0]
        return Tokens(ids[:max_length], types[:max_length], len(encoded["input_ids"]) > max_length)

    def pieces(self, text: str) -> list[int]:
        """Token ids of a text within another: without those that begin or end one."""
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def spell(self, ids: Sequence[int]) -> str:
        """The text that token ids stand for, without spaces around it."""
        text: str = self.tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text.strip()

    @property
    def end(self) -> int:
        """The token that ends a text."""
        return int(self.tokenizer.eos_token_id)

    @cached_property
    def words(self) -> Unembedding:
        """What it writes with."""
        return Unembedding.of(self.model, self._folder)

    def batch(self, tokens: Sequence[Tokens]) -> Batch:
        """Pad to the longest, on the right."""
        longest = max(len(one.ids) for one in tokens)
        pad = int(self.tokenizer.pad_token_id)
        ids = torch.full((len(tokens), longest), pad)
        mask = torch.zeros((len(tokens), longest), dtype=torch.long)
        types = torch.zeros((len(tokens), longest), dtype=torch.long)
        for row, one in enumerate(tokens):
            size = len(one.ids)
            ids[row, :size], types[row, :size] = torch.tensor(one.ids), torch.tensor(one.types)
            mask[row, :size] = 1
        targets = torch.tensor([one.target for one in tokens])
        return Batch(*(each.to(self.device) for each in (ids, mask, types, targets)))

    def forward(self, batch: Batch, visitor: Visitor | None = None, cache: Cache | None = None) -> Tensor:
        """Final hidden states `(batch, length, hidden)`; keys and values go into `cache`."""
        return self._run(self.model, batch, visitor, input_ids=batch.ids, past_key_values=cache)

    def extend(self, batch: Batch, read: Tensor, cache: Cache, visitor: Visitor | None = None) -> Tensor:
        """Final hidden states `(batch, length, hidden)` of tokens that come after those whose keys and values
        are in `cache`, which they join.

        Args:
            read: the mask of those before, `(batch, length before)`.
        """
        steps = torch.arange(batch.ids.shape[1], device=self.device)
        positions = (read.sum(1, keepdim=True) + steps) * batch.mask
        whole = replace(batch, mask=torch.cat([read, batch.mask], 1))
        return self._run(
            self.model, whole, visitor, input_ids=batch.ids, past_key_values=cache, position_ids=positions
        )

    def forward_to(self, layer: int, batch: Batch, visitor: Visitor) -> None:
        """Run only until `visitor` has seen the states that enter `layer`."""
        try:
            self._run(self.model, batch, StopAt(layer, visitor), input_ids=batch.ids)
        except Stop:
            return

    def forward_from(
        self, layer: int, hidden: Tensor, batch: Batch, visitor: Visitor | None = None
    ) -> Tensor:
        """Final hidden states, going on from the states that enter `layer`; only layers >= `layer` run."""
        return self._run(upper_part(self.model, self.stack_name, layer), batch, visitor, inputs_embeds=hidden)

    def can_resume_at(self, layer: int) -> bool:
        """Whether going on from `layer` gives the same states as the whole model, tried on a short padded
        batch."""
        batch = self.batch(self.tokenize(["a first short text", "another one, longer than the first"], 16))
        tap = Taps([layer])
        with torch.no_grad():
            whole = self.forward(batch, tap)
            upper = self.forward_from(layer, tap.states[layer], batch)
        kept = batch.mask.bool()
        return torch.allclose(whole[kept], upper[kept], atol=1e-4, rtol=1e-4)

    def _run(
        self, model: nn.Module, batch: Batch, visitor: Visitor | None, **inputs: Tensor | Cache | None
    ) -> Tensor:
        cache = inputs.pop("past_key_values", None)
        if not self.is_decoder:
            inputs["token_type_ids"] = batch.types
        options = {"use_cache": cache is not None, "past_key_values": cache} if self.is_decoder else {}
        with self._visited_by(visitor), denormals.flushed():
            with self._products(self.dtype):
                states: Tensor = model(
                    attention_mask=batch.mask, **inputs, **options
                ).last_hidden_state.float()
            if visitor is not None:
                visitor.enter(self.layers, states)
        return states

    def _products(self, dtype: torch.dtype) -> torch.autocast:
        return torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32)

    @contextmanager
    def _visited_by(self, visitor: Visitor | None) -> Iterator[None]:
        self._local.visitor = visitor
        try:
            yield
        finally:
            self._local.visitor = None

    def _install(self, stack: nn.ModuleList) -> None:
        for index, layer in enumerate(stack):
            layer.register_forward_pre_hook(self._entering(index), with_kwargs=True)
            for name, module in layer.named_modules():
                if isinstance(module, nn.Linear):
                    self._linear[name] = (module.in_features, module.out_features)
                    module.register_forward_hook(self._adding(index, name))

    def _entering(self, index: int) -> Any:
        def hook(_module: nn.Module, args: tuple[Tensor, ...], kwargs: Mapping[str, Any]) -> None:
            visitor = getattr(self._local, "visitor", None)
            if visitor is not None:
                hidden: Tensor = args[0] if args else kwargs["hidden_states"]
                with self._products(torch.float32):  # routers and gates decide in full
                    visitor.enter(index, hidden.float())

        return hook

    def _adding(self, index: int, name: str) -> Any:
        def hook(_module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
            visitor = getattr(self._local, "visitor", None)
            return None if visitor is None else visitor.adapt(index, name, args[0], output)

        return hook


def choose_device(name: str) -> torch.device:
    """`auto` is a GPU when there is one.

    Raises:
        InvalidSettingError: the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as reason:
        raise InvalidSettingError(f"device {name!r} cannot be used here; try auto or cpu") from reason
    return device


def default_first_layer(layers: int) -> int:
    """Where routing reads and adapting begins: about 27 % of the depth, where a linear probe of the task is
    at its best."""
    return max(1, round(0.27 * layers))
