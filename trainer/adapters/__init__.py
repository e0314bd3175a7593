"""Adapter kinds, one module each. The contract, held by `tests/trainer/adapters/test_contract.py`:

- `Config(...)`: a frozen dataclass of JSON values, `rank` and `alpha` among its fields where it has them; it
  is stored whole with the expert. A person may set each of its fields; one whose values are no plain number
  says in its metadata how to read them: `read(value, sizes)`, where `sizes` are those of the linear layers
  that it is for, None where they are not known.
- `LEARNING_RATE`: the peak rate it trains well at, unless a person chooses another.
- `TARGETS`: the linear layers it attaches to, by last name (`q_proj`) or, with a dot, by full name inside a
  layer (`output.dense`); those that a base model lacks are left out. A kind without targets has no adapters:
  its experts are a head alone, which is solved and not trained, and reads early states.
- `FORM`: how its adapters run, a module of `trainer.forms`.
- `LINEAR`: whether its update is a linear function of what goes into the layer, and so a matrix.
- `LOOKS`: how many batches of its rows an untrained expert is shown before it trains; 0 where its start
  depends on the seed alone.
- `configure(*, rank, alpha, preset) -> Config`: fills what is None with the kind's defaults; unknown presets
  are refused.
- `Adapter(config, inputs, outputs, generator, name)`: an `nn.Module` for one linear layer `inputs -> outputs`
  called `name`; its `state_dict` is all that is frozen: its parameters are trained, its buffers are not. It
  changes nothing when untrained, unless the preset says otherwise.
  - `forward(x (..., inputs), output (..., outputs)) -> (..., outputs)`: what becomes of the layer's output;
    and where it is LINEAR, `dense() -> (inputs, outputs)`, the matrix that could be added to the layer's
    weight. Both are what the form does, written down in other ways, for those who want to check one by the
    other.
- `parts(config, inputs, outputs, values) -> {name: tensor}`: what the form runs with, every scale folded in,
  from an adapter's `state_dict`. Values may have leading axes, the same ones each, which parts then have too:
  many adapters are formed at once.
- `choose(config, values, weight, gradient) -> values`: where LOOKS is not 0, the values of untrained
  adapters, `(layers, ...)` each, once the loss's gradient of the layers' weights is known; both of these are
  `(layers, inputs, outputs)`.
"""

from registry.errors import InvalidSettingError, NotFoundError

ATTENTION = ("q_proj", "v_proj", "query", "value")
"""Queries and values, by the names that decoders and encoders give them."""
FEED_FORWARD = ("down_proj", "output.dense")
"""The end of the feed-forward part, by the same."""


def check_rank(rank: int, inputs: int, outputs: int, name: str) -> None:
    """Raises InvalidSettingError if a rank is below 1 or above what the linear layer `name` can carry."""
    most = min(inputs, outputs)
    if not 1 <= rank <= most:
        raise InvalidSettingError(
            f"rank {rank} does not fit {name} ({inputs} -> {outputs}): choose 1 to {most}"
        )


def refuse_presets(kind: str, preset: str) -> None:
    """`configure` of kinds that have the default preset alone: raises NotFoundError for another."""
    if preset != "default":
        raise NotFoundError(f"unknown preset {preset!r} of {kind}; known: default.")
