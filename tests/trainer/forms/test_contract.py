"""What every form keeps, tried with the adapters of each family that runs in it."""

from types import ModuleType

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainer import kinds
from trainer.forms import Parts

EVERY = {name: kinds.load("adapters", name) for name in kinds.names("adapters")}
FAMILIES = {name: family for name, family in EVERY.items() if family.TARGETS}
ROWS, LENGTH, INPUTS, OUTPUTS = 3, 4, 12, 8


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> ModuleType:
    return FAMILIES[request.param]


def parts(family: ModuleType, seed: int) -> Parts:
    """Of an adapter that changes something."""
    config = family.configure(rank=2)
    adapter = family.Adapter(config, INPUTS, OUTPUTS, torch.Generator().manual_seed(seed), "a layer")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))
    found: Parts = family.parts(config, INPUTS, OUTPUTS, adapter.state_dict())
    return found


def given() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(ROWS, LENGTH, INPUTS, generator=generator)
    return x, torch.randn(ROWS, LENGTH, OUTPUTS, generator=generator)


def apply(family: ModuleType, x: Tensor, output: Tensor, parts: Parts) -> Tensor:
    changed: Tensor = kinds.load("forms", family.FORM).apply(x, output.clone(), parts)
    return changed


def test_every_form_has_a_family() -> None:
    assert {family.FORM for family in EVERY.values()} == set(kinds.names("forms"))


@torch.no_grad()
def test_the_weighted_sum_of_updates_is_an_update(family: ModuleType) -> None:
    combine = getattr(kinds.load("forms", family.FORM), "combine", None)
    if combine is None:
        pytest.skip(f"updates of the form {family.FORM} do not add up")
    x, output = given()
    each = [parts(family, seed) for seed in range(3)]
    weights = [1.0, -0.5, 2.0]
    summed = apply(family, x, output, combine(each, weights)) - output
    apart = [w * (apply(family, x, output, own) - output) for own, w in zip(each, weights, strict=True)]
    assert torch.allclose(summed, torch.stack(apart).sum(0), atol=1e-4)


@torch.no_grad()
def test_each_row_gets_the_update_of_its_own_parts(family: ModuleType) -> None:
    x, output = given()
    each = [parts(family, seed) for seed in range(ROWS)]
    together = {name: torch.stack([one[name] for one in each]) for name in each[0]}
    found = apply(family, x, output, together)
    for row, own in enumerate(each):
        alone = apply(family, x[row : row + 1], output[row : row + 1], own)
        assert torch.allclose(found[row : row + 1], alone, atol=1e-5)
        assert not torch.allclose(alone, output[row : row + 1], atol=1e-2)


@torch.no_grad()
def test_padding_with_zeros_changes_nothing(family: ModuleType) -> None:
    x, output = given()
    own = parts(family, 0)
    fixed = {INPUTS, OUTPUTS}
    padded = {
        name: functional.pad(
            part, [space for size in part.shape[::-1] for space in (0, 3 * (size not in fixed))]
        )
        for name, part in own.items()
    }
    assert any(padded[name].shape != own[name].shape for name in own)
    assert torch.allclose(apply(family, x, output, padded), apply(family, x, output, own), atol=1e-6)


def test_it_gives_the_same_with_gradients_wanted(family: ModuleType) -> None:
    x, output = given()
    own = {name: torch.stack([part] * ROWS).requires_grad_(part.is_floating_point())
           for name, part in parts(family, 0).items()}  # fmt: skip
    wanted = apply(family, x, output, own)
    with torch.no_grad():
        assert torch.allclose(apply(family, x, output, own), wanted, atol=1e-6)
    wanted.sum().backward()
    assert all(part.grad is not None for part in own.values() if part.is_floating_point())


@pytest.mark.parametrize("learning", [False, True])
@pytest.mark.parametrize("one_for_all", [False, True])
def test_in_half_precision_it_gives_nearly_the_same(
    family: ModuleType, learning: bool, one_for_all: bool
) -> None:
    x, output = given()
    own = parts(family, 0)
    if not one_for_all:
        own = {name: torch.stack([part] * ROWS) for name, part in own.items()}
    with torch.set_grad_enabled(learning):
        full = apply(family, x, output, own)
        with torch.autocast("cpu", torch.bfloat16):
            half = apply(family, x.bfloat16(), output.bfloat16(), own)
    if not learning:
        assert half.dtype == torch.bfloat16
    assert (half - full).norm() / full.norm() < 2**-6
