"""What every adapter kind keeps, whichever file it comes from."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from registry.errors import InvalidSettingError, NotFoundError
from trainer import kinds

LAYERS = ((48, 48), (48, 24), (24, 48), (30, 7), (13, 13))
REALISTIC = ((576, 576), (576, 192), (2048, 512), (384, 384))
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


@pytest.fixture(params=[name for name in kinds.names("adapters") if kinds.load("adapters", name).TARGETS])
def family(request: pytest.FixtureRequest) -> ModuleType:
    return kinds.load("adapters", request.param)


def untrained(
    family: ModuleType, inputs: int, outputs: int, *, seed: int = 0, rank: int | None = 3
) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    adapter: nn.Module = family.Adapter(family.configure(rank=rank), inputs, outputs, generator, "layer 0 q")
    return adapter


def trained(family: ModuleType, inputs: int, outputs: int) -> nn.Module:
    """As if trained: no parameter is zero any more."""
    adapter = untrained(family, inputs, outputs)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return adapter


def parts(adapter: nn.Module) -> dict[str, Tensor]:
    """What the adapter runs with."""
    family = sys.modules[type(adapter).__module__]
    return dict(family.parts(adapter.config, *adapter.size, adapter.state_dict(keep_vars=True)))


def given(adapter: nn.Module, rows: int, seed: int = 0, **options: Any) -> tuple[Tensor, Tensor]:
    """What went into a layer, and what came out of it."""
    generator = torch.Generator().manual_seed(seed)
    inputs, outputs = (torch.randn(rows, size, generator=generator, **options) for size in adapter.size)
    return inputs, outputs


def updated(adapter: nn.Module, x: Tensor, output: Tensor) -> Tensor:
    """What the form that the family names makes of the output `(rows, outputs)` of `x (rows, inputs)`."""
    family = sys.modules[type(adapter).__module__]
    changed: Tensor = kinds.load("forms", family.FORM).apply(x[None], output[None].clone(), parts(adapter))
    return changed[0]


def ways(adapter: nn.Module, x: Tensor, output: Tensor) -> dict[str, Callable[[], Tensor]]:
    """All ways of computing what an adapter does."""
    found: dict[str, Callable[[], Tensor]] = {
        "forward": lambda: adapter(x, output),
        "form": lambda: updated(adapter, x, output),
    }
    if sys.modules[type(adapter).__module__].LINEAR:
        found["dense"] = lambda: output + x @ adapter.dense()
    return found


def results(adapter: nn.Module, x: Tensor, output: Tensor) -> dict[str, tuple[Tensor, ...]]:
    """By way: the new output, then the gradients of what is given and of each parameter."""
    found = {}
    for name, way in ways(adapter, x, output).items():
        changed = way()
        # Every entry weighs something else, so that no two of them can hide behind each other.
        weights = torch.linspace(-1, 1, changed.numel(), dtype=x.dtype).reshape(changed.shape)
        asked = [x, output, *adapter.parameters()]
        gradients = torch.autograd.grad((changed * weights).sum(), asked, materialize_grads=True)
        found[name] = (changed.detach(), *gradients)
    return found


@pytest.mark.parametrize("size", LAYERS)
def test_an_untrained_adapter_changes_nothing(family: ModuleType, size: tuple[int, int]) -> None:
    adapter = untrained(family, *size)
    x, output = given(adapter, 5)
    for name, way in ways(adapter, x, output).items():
        assert torch.equal(way(), output), name


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("size", LAYERS)
def test_all_ways_agree_forward_and_in_every_gradient(
    family: ModuleType, size: tuple[int, int], dtype: torch.dtype
) -> None:
    adapter = trained(family, *size).to(dtype)
    found = results(adapter, *given(adapter, 6, seed=2, dtype=dtype, requires_grad=True))
    expected = found.pop("forward")
    assert {*found} == ({"form", "dense"} if family.LINEAR else {"form"})
    for name, values in found.items():
        for value, wanted in zip(values, expected, strict=True):
            scale = max(1.0, wanted.abs().max().item())
            assert (value - wanted).abs().max().item() <= TOLERANCE[dtype] * scale, name


def test_it_says_how_it_runs_where_and_what_it_is(family: ModuleType) -> None:
    assert family.FORM in kinds.names("forms")
    assert family.TARGETS
    assert isinstance(family.LINEAR, bool)
    assert hasattr(family.Adapter, "dense") == family.LINEAR
    assert (family.LOOKS > 0) == hasattr(family, "choose")


def test_an_update_is_linear_where_the_family_says_so(family: ModuleType) -> None:
    adapter = trained(family, 48, 24)
    (x, output), (more, other) = given(adapter, 4), given(adapter, 4, seed=1)

    def update(x: Tensor, output: Tensor) -> Tensor:
        return updated(adapter, x, output) - output

    left = update(x + more, output + other)
    right = update(x, output) + update(more, other)
    assert torch.allclose(left, right, atol=1e-4) == family.LINEAR


def test_one_kind_has_no_adapters_at_all() -> None:
    """Its experts are a head alone."""
    [name] = [name for name in kinds.names("adapters") if not kinds.load("adapters", name).TARGETS]
    probe = kinds.load("adapters", name)
    assert (name, probe.FORM, probe.parts(probe.configure(), 4, 3, {})) == ("probe", "none", {})
    adapter = probe.Adapter(probe.configure(), 4, 3, torch.Generator(), "layer 0 q")
    assert (list(adapter.parameters()), adapter.dense().shape) == ([], (4, 3))
    x, output = torch.ones(2, 4), torch.ones(2, 3)
    assert torch.equal(adapter(x, output), output + x @ adapter.dense())
    with pytest.raises(InvalidSettingError, match="neither rank nor alpha: leave them out"):
        probe.configure(rank=3)


def test_many_adapters_are_formed_at_once(family: ModuleType) -> None:
    adapters = [untrained(family, 48, 24, seed=seed) for seed in range(6)]
    each = [parts(adapter) for adapter in adapters]
    states = [adapter.state_dict() for adapter in adapters]
    stacked = {name: torch.stack([one[name] for one in states]).unflatten(0, (2, 3)) for name in states[0]}
    together = family.parts(adapters[0].config, 48, 24, stacked)
    assert {*together} == {*each[0]}
    for name, found in together.items():
        wanted = torch.stack([one[name] for one in each]).unflatten(0, (2, 3))
        assert torch.allclose(found, wanted, rtol=0, atol=1e-6), name


@pytest.mark.parametrize("size", REALISTIC)
def test_it_has_far_fewer_parameters_than_the_layer(family: ModuleType, size: tuple[int, int]) -> None:
    adapter = untrained(family, *size, rank=None)
    assert 5 * sum(parameter.numel() for parameter in adapter.parameters()) < size[0] * size[1]


def test_every_parameter_learns_once_the_update_is_not_zero(family: ModuleType) -> None:
    adapter = trained(family, 48, 24)
    updated(adapter, *given(adapter, 4)).square().sum().backward()
    assert all(
        parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in adapter.parameters()
    )


def test_an_untrained_adapter_can_leave_zero(family: ModuleType) -> None:
    adapter = untrained(family, 48, 24)
    updated(adapter, *given(adapter, 4)).sum().backward()
    assert any(
        parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in adapter.parameters()
    )


def test_batch_and_token_axes_pass_through(family: ModuleType) -> None:
    adapter = trained(family, 48, 24)
    x, output = given(adapter, 6)
    one_by_one = torch.stack([adapter(*token) for token in zip(x, output, strict=True)])
    together = adapter(x.unflatten(0, (2, 3)), output.unflatten(0, (2, 3)))
    assert together.shape == (2, 3, 24)
    assert torch.allclose(together.flatten(0, 1), one_by_one, atol=1e-6)
    assert adapter(x[:0], output[:0]).shape == (0, 24)


def test_its_state_comes_back_bit_equal(family: ModuleType) -> None:
    adapter, twin = trained(family, 48, 24), untrained(family, 48, 24, seed=9)
    twin.load_state_dict(adapter.state_dict())
    asked = given(adapter, 4)
    assert torch.equal(twin(*asked), adapter(*asked))


def test_the_same_seed_gives_the_same_start(family: ModuleType) -> None:
    def start(seed: int) -> list[Tensor]:
        return list(untrained(family, 96, 64, seed=seed).state_dict().values())

    first, again, other = start(3), start(3), start(4)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_the_start_does_not_depend_on_the_generator_of_torch_nor_move_it(family: ModuleType) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = untrained(family, 48, 24)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again = untrained(family, 48, 24)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("rank", [25, 0, -1])
def test_a_rank_that_does_not_fit_is_refused_by_name_of_the_layer(family: ModuleType, rank: int) -> None:
    with pytest.raises(InvalidSettingError) as refusal:
        untrained(family, 48, 24, rank=rank)
    assert str(refusal.value) == f"rank {rank} does not fit layer 0 q (48 -> 24): choose 1 to 24"


def test_the_largest_rank_fits(family: ModuleType) -> None:
    adapter = untrained(family, 48, 24, rank=24)
    assert updated(adapter, *given(adapter, 2)).shape == (2, 24)


def test_rank_and_alpha_replace_those_of_the_preset(family: ModuleType) -> None:
    config = family.configure(rank=2, alpha=8.0)
    assert (config.rank, config.alpha) == (2, 8.0)


def test_the_update_is_proportional_to_alpha(family: ModuleType) -> None:
    once, twice = (
        family.Adapter(
            family.configure(rank=2, alpha=alpha), 12, 8, torch.Generator().manual_seed(0), "layer 0 q"
        )
        for alpha in (3.0, 6.0)
    )
    with torch.no_grad():
        for left, right in zip(once.parameters(), twice.parameters(), strict=True):
            left.add_(0.1)
            right.copy_(left)
    x, output = given(once, 4)
    update, twofold = (updated(adapter, x, output) - output for adapter in (once, twice))
    assert torch.allclose(2 * update, twofold, atol=1e-5)


def test_an_unknown_preset_is_refused(family: ModuleType) -> None:
    with pytest.raises(NotFoundError, match=r"unknown preset 'defualt' of .*; known: default"):
        family.configure(preset="defualt")


def test_what_it_chooses_fits_its_adapters_and_follows_what_it_is_shown(family: ModuleType) -> None:
    if not family.LOOKS:
        pytest.skip("its start depends on the seed alone")
    adapters = [untrained(family, 96, 64, seed=seed) for seed in range(2)]
    values = {
        name: torch.stack([adapter.state_dict()[name] for adapter in adapters])
        for name in adapters[0].state_dict()
    }
    generator = torch.Generator().manual_seed(0)
    weight, gradient, other = (torch.randn(2, 96, 64, generator=generator) for _ in range(3))
    chosen, again, otherwise = (
        family.choose(adapters[0].config, values, weight, seen) for seen in (gradient, gradient, other)
    )
    for name, value in values.items():
        assert (chosen[name].dtype, chosen[name].shape) == (value.dtype, value.shape)
        assert torch.equal(chosen[name], again[name])
    assert any(not torch.equal(chosen[name], otherwise[name]) for name in values)
    for place, adapter in enumerate(adapters):
        adapter.load_state_dict({name: value[place] for name, value in chosen.items()})
        x, output = given(adapter, 5)
        assert torch.equal(updated(adapter, x, output), output)
