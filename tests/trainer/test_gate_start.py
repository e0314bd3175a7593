"""Where a gate begins: from what is on record of the experts, before anything is learnt."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from registry import Registry
from tests.trainer.samples import QUICK, texts, write
from trainer import add_task
from trainer.base_model import BaseModel
from trainer.gate_start import start
from trainer.gates.soft_token import Config, Router
from trainer.selection import choose_several
from trainer.thawing import thawed
from trainer.visitors import Taps


@pytest.fixture
def registry(llama: BaseModel, tmp_path: Path) -> Registry:
    """Experts of two tasks in different words, and a second expert of the first."""
    registry = Registry(tmp_path / "home")
    for task in ("mood", "question"):
        add_task(registry, write(tmp_path, task), base_model=llama, settings=replace(QUICK, epochs=1))
    again = replace(QUICK, epochs=1, seed=1)
    add_task(registry, write(tmp_path, "mood"), name="feeling", base_model=llama, settings=again)
    return registry


def begun(registry: Registry, base: BaseModel, layers: tuple[int, ...], *experts: str) -> Router:
    """A gate over experts that has seen no corpus."""
    members = [(one, thawed(registry, base, one)) for one in choose_several(registry, experts)]
    router = Router(Config(), (len(layers), 2, base.hidden), len(members)).start(0)
    start(router, layers, registry, base, members)
    return router


@torch.no_grad()
def shares(router: Router, base: BaseModel, layers: tuple[int, ...], task: str) -> Tensor:
    """What each token of some texts of a task gives to each expert, `(layers, tokens, experts)`."""
    batch, taps = base.batch(base.tokenize(texts(task), 32)), Taps(layers)
    base.forward_to(max(layers), batch, taps)
    real = batch.mask.bool()
    return torch.stack(
        [router.at(place, taps.states[layer]).weights[real] for place, layer in enumerate(layers)]
    )


def test_the_tokens_of_a_text_begin_with_the_expert_that_was_made_from_such_texts(
    registry: Registry, llama: BaseModel
) -> None:
    router = begun(registry, llama, (2,), "mood", "question")
    for slot, task in enumerate(("mood", "question")):
        [own] = shares(router, llama, (2,), task)
        assert own[:, slot].mean() > 0.8
        assert (own.argmax(-1) == slot).double().mean() > 0.85


def test_each_layer_of_a_gate_begins_from_the_states_that_enter_it(
    registry: Registry, llama: BaseModel
) -> None:
    layers = tuple(range(1, llama.layers))
    router = begun(registry, llama, layers, "mood", "question")
    found = shares(router, llama, layers, "question")[..., 1].mean(-1)
    assert len(found) > 1 and (found > 0.8).all()
    alone = begun(registry, llama, layers[-1:], "mood", "question")
    # Not to the last bit: what `start` draws for the layers differs.
    torch.testing.assert_close(router.weight[-1], alone.weight[0], atol=0.02, rtol=0.0)


def test_experts_of_the_same_rows_begin_with_like_shares(registry: Registry, llama: BaseModel) -> None:
    router = begun(registry, llama, (2,), "mood", "feeling", "question")
    [own] = shares(router, llama, (2,), "mood")
    one, other = own[:, 0], own[:, 1]
    assert (one - other).abs().max() < 0.05
    # Drawn apart a little: where shares are equal, the best few would be the same few for every token.
    assert (one > other).any() and (one < other).any()


def test_the_same_experts_and_seed_begin_alike(registry: Registry, llama: BaseModel) -> None:
    first, second = (begun(registry, llama, (2,), "mood", "question") for _ in range(2))
    assert torch.equal(first.weight, second.weight) and torch.equal(first.bias, second.bias)
