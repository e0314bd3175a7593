"""What a person may choose when experts are mixed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.errors import InvalidSettingError
from trainer.settings import (
    TrainingSettings,
    check_counts,
    check_rates,
    check_seed,
    check_types,
    default_epochs,
)

SHARED, PER_LAYER = "shared", "per-layer"
GATES = (SHARED, PER_LAYER)


@dataclass(frozen=True, kw_only=True)
class MixtureSettings:
    """How a mixture is trained."""

    gate: str = SHARED
    """`shared`: each token is weighed once, where its experts begin; `per-layer`: anew at each of their
    layers."""
    top_k: int | None = None
    """Experts that mix in each token, 2 or more; all by default."""
    freeze_experts: bool = False
    """The gate alone learns."""
    balance: float = 0.01
    """Weight of the loss of uneven use."""
    epochs: int | None = None
    """By default 3 to 12: the fewer rows, the more."""
    batch_size: int = 32
    gate_learning_rate: float = 3e-2
    learning_rate: float | None = None
    """Of the adapters; by default a third of what their kind begins with, since these have begun."""
    head_learning_rate: float = 5e-4
    patience: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no mixture could be trained with."""
        if self.gate not in GATES:
            raise InvalidSettingError(f"gate {self.gate!r} is unknown: choose {' or '.join(GATES)}")
        if self.top_k is not None and self.top_k < 2:
            raise InvalidSettingError(
                f"top-k {self.top_k} is too small: of one expert in a token the weight is 1, and the gate "
                "has nothing to learn from; choose 2 or more"
            )
        check_counts(self, "epochs", "batch_size", "patience")
        check_rates(self, "gate_learning_rate", "learning_rate", "head_learning_rate")
        if not 0 <= self.balance < float("inf"):
            raise InvalidSettingError(f"balance {self.balance} must be a finite number, 0 or more")
        check_seed(self.seed)

    def training(self, rows: int) -> TrainingSettings:
        """Settled for a number of training rows."""
        return TrainingSettings(
            epochs=default_epochs(rows) if self.epochs is None else self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.gate_learning_rate,
            head_learning_rate=self.head_learning_rate,
            patience=self.patience,
            seed=self.seed,
        )


def mixture_settings_of(given: Mapping[str, Any]) -> MixtureSettings:
    """Settings from outside; what is None is left to the defaults.

    Raises:
        InvalidSettingError: an unknown name, a value of another type or out of range.
    """
    said = {name: value for name, value in given.items() if value is not None}
    check_types(MixtureSettings, said)
    return MixtureSettings(**said)
