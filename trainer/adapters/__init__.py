"""Adapter kinds, one module each. The contract, held by `tests/trainer/adapters/test_contract.py`:

- `Config(...)`: a frozen dataclass of JSON values, `rank` among its fields where it has one; it is stored
  whole with the expert.
- `LEARNING_RATE`: the peak rate it trains well at, unless a person chooses another.
- `TARGETS`: the linear layers it attaches to, by last name (`q_proj`) or, with a dot, by full name inside a
  layer (`output.dense`); those that a base model lacks are left out. A kind without targets has no adapters:
  its experts are a head alone, which is solved and not trained, and reads early states.
- `FORM`: how its adapters run, a module of `trainer.forms`.
- `configure(*, rank, alpha, preset) -> Config`: fills what is None with the kind's defaults; unknown presets
  are refused.
- `Adapter(config, inputs, outputs, generator, name)`: an `nn.Module` for one linear layer `inputs -> outputs`
  called `name`; its `state_dict` is all that is frozen. It is zero when untrained, unless the preset says
  otherwise.
  - `forward(x (..., inputs)) -> (..., outputs)`, `dense() -> (inputs, outputs)`: the update written down in
    other ways, for those who want to check one by the other.
- `parts(config, inputs, outputs, values) -> {name: tensor}`: what the form runs with, every scale folded in,
  from an adapter's `state_dict`. Values may have leading axes, the same ones each, which parts then have too:
  many adapters are formed at once.
"""

ATTENTION = ("q_proj", "v_proj", "query", "value")
"""Queries and values, by the names that decoders and encoders give them."""
