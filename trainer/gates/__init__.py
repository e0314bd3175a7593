"""Gate kinds, one module each: routers that weigh all experts of a pool for each token, and choose nobody.

A gate is trained with what the experts answer (`train-mixture`), where a router is fitted to whose rows are
whose. The contract, held by `tests/trainer/gates/test_contract.py`:

- `Config(top_k=...)`: a frozen dataclass of JSON values, stored with the generation.
- `Router(config, shape, slots)`: an `nn.Module` for states of shape `(layers, 2, hidden)` and `slots`
  experts. Its `state_dict` is all that is frozen.
- `at(place, states (batch, tokens, hidden)) -> Routing`: the weights at one of the layers that it reads. A
  token is weighed the same in any company.
- `forward(features) -> Routing`: their mean over all of these layers; `features.states` are of each token,
  `(batch, layers, tokens, hidden)`.
- `normal(states)`: the form of states in which scores are linear; `start(seed) -> Router` and
  `begin(place, weight, bias)`: where it begins to learn, see `trainer.gate_start`.
- `balance(routing, mask) -> Tensor`: the loss of uneven use.
"""
