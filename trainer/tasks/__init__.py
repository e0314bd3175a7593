"""Task kinds, one module each. The contract, held by `tests/trainer/tasks/test_contract.py`:

- `REQUIRED`, `OPTIONAL`, `TARGET`: the roles of its columns, and which of them is the answer; `METRIC`: the
  score that counts.
- `recognises(columns) -> bool`: whether a file with these column roles is of this kind.
- `check(rows) -> (labels, findings)`: the labels of a dataset and remarks for a person; refuses rows that
  cannot be trained on.
- `Head(inputs, labels)`: an `nn.Module` from a pooled state `(batch, inputs)` to outputs; it is zero when
  untrained.
- `targets(rows, labels) -> Tensor`, `loss(outputs, targets) -> Tensor`, `score(outputs, targets) -> {metric:
  value}`.
- `answers(outputs, labels) -> list[Answer]`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """What an expert says of one text.

    Attributes:
        label: the answer; probability: how sure the expert is; probabilities: of every label.
    """

    label: str
    probability: float
    probabilities: dict[str, float]
