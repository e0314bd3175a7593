"""Sparse adapters: which blocks there are, which are chosen, and what is trained of them."""

import torch

from trainer.adapters.sparse import Adapter, Config, choose


def adapter(inputs: int, outputs: int, **config: int) -> Adapter:
    return Adapter(Config(**config), inputs, outputs, torch.Generator().manual_seed(0), "layer 0 q")


def test_it_has_as_many_values_as_a_lora_of_its_rank() -> None:
    for inputs, outputs, rank in ((576, 576, 8), (576, 192, 8), (384, 384, 5), (2048, 512, 16)):
        found = adapter(inputs, outputs, rank=rank).values.numel()
        assert abs(found - rank * (inputs + outputs)) <= 128


def test_there_are_never_more_blocks_than_the_layer_has() -> None:
    assert adapter(48, 24, rank=24, block=8).values.shape == (18, 8, 8)
    assert adapter(30, 7, rank=7).values.shape == (2, 16, 7)
    assert adapter(13, 13, rank=1, block=1).values.shape == (26, 1, 1)


def test_the_blocks_of_a_layer_that_is_no_multiple_end_with_it() -> None:
    made = adapter(30, 20, rank=20)
    places = zip(made.rows.tolist(), made.columns.tolist(), strict=True)
    assert [*places] == [(0, 0), (0, 4), (14, 0), (14, 4)]


def test_the_blocks_are_those_with_the_largest_sum_of_weight_times_gradient() -> None:
    made = adapter(12, 8, rank=1, block=4)
    values = {name: value[None].repeat(2, *[1] * value.ndim) for name, value in made.state_dict().items()}
    weight, gradient = torch.ones(2, 12, 8), torch.zeros(2, 12, 8)
    # A negative gradient counts as much as a positive one, and a weight of zero is not felt.
    gradient[0, 4:8, 0:4], gradient[0, 0:4, 4:8] = -1.0, 0.5
    gradient[1, 11, 7], gradient[1, 0, 0] = 1e-3, 9.0
    weight[1, 0, 0] = 0.0
    found = choose(made.config, values, weight, gradient)
    assert (found["rows"].tolist(), found["columns"].tolist()) == ([[4], [8]], [[0], [4]])


def test_of_equals_the_earliest_are_chosen_in_the_order_of_the_matrix() -> None:
    made = adapter(12, 8, rank=2, block=4)
    values = {name: value[None] for name, value in made.state_dict().items()}
    found = choose(made.config, values, torch.ones(1, 12, 8), torch.ones(1, 12, 8))
    assert (found["rows"].tolist(), found["columns"].tolist()) == ([[0, 0]], [[0, 4]])


def test_where_blocks_are_is_kept_but_not_trained() -> None:
    made = adapter(48, 24, block=8)
    assert [name for name, _ in made.named_parameters()] == ["values"]
    assert {name: value.dtype for name, value in made.state_dict().items()} == {
        "values": torch.float32,
        "rows": torch.int64,
        "columns": torch.int64,
    }
