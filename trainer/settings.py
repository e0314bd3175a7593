"""What a person may choose when an expert is made; what they leave open is settled from the data and the base
model."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from registry.canonical import canonical_json
from registry.errors import InvalidSettingError
from trainer import kinds
from trainer.shapes import config_from
from trainer.templates import Template


def check_counts(settings: object, *names: str) -> None:
    """Refuse fields below 1; None is left open."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise InvalidSettingError(f"{name.replace('_', ' ')} {value} is too small: choose 1 or more")


def check_rates(settings: object, *names: str) -> None:
    """Refuse fields that are not finite numbers above 0; None is left open."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not 0 < value < float("inf"):
            raise InvalidSettingError(f"{name.replace('_', ' ')} {value} must be a finite number above 0")


def check_seed(seed: int) -> None:
    """Refuse what not every generator of random numbers takes."""
    if not 0 <= seed < 2**31:
        raise InvalidSettingError(f"seed {seed} must be from 0 to {2**31 - 1}")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How an expert is trained."""

    epochs: int
    batch_size: int
    learning_rate: float
    """Peak rate of the adapters."""
    head_learning_rate: float
    warm_up: float = 0.1
    """Share of all steps over which the rate rises from zero."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    patience: int = 3
    """Epochs without a better validation score after which training stops."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class ExpertSettings:
    """How to make an expert. None means: the default of the adapter kind, or one that fits the data."""

    adapter: str = "tt_lora"
    preset: str = "default"
    rank: int | None = None
    alpha: float | None = None
    first_layer: int | None = None
    """The first layer that experts adapt and the one where one-pass routing reads; 27 % of the depth by
    default."""
    targets: tuple[str, ...] | None = None
    """The linear layers that are adapted, by last name (`q_proj`) or by full name inside a layer
    (`output.dense`); by default those of the adapter kind."""
    options: Mapping[str, Any] | None = None
    """Fields of the adapter kind's own `Config`, by name: such as the modes of a tensor train."""
    max_length: int = 128
    """Tokens read of a text; what is beyond is cut, and said so."""
    epochs: int | None = None
    """By default 3 to 12: the fewer rows, the more."""
    batch_size: int = 32
    learning_rate: float | None = None
    head_learning_rate: float = 2e-3
    patience: int = 3
    seed: int = 0
    instant: bool = False
    """First a probe, which answers at once and stays if training gives nothing better."""
    template: str | None = None
    """What stands around the text, `{text}`, where answers are written; by default a line break after it."""
    max_target: int = 256
    """Tokens of an answer to learn, its end among them; rows with a longer one are refused."""

    def __post_init__(self) -> None:
        """Refuse numbers that no training could use."""
        check_counts(self, "rank", "epochs", "batch_size", "max_length", "patience", "max_target")
        check_rates(self, "learning_rate", "head_learning_rate", "alpha")
        check_seed(self.seed)
        if self.template is not None:
            Template.of(self.template)

    def shape(self, sizes: Iterable[tuple[int, int]] | None = None) -> Any:
        """The adapter kind's own settings; sizes: see `trainer.shapes`."""
        return config_from(
            self.adapter,
            rank=self.rank,
            alpha=self.alpha,
            preset=self.preset,
            options=self.options,
            sizes=sizes,
        )

    def training(self, rows: int) -> TrainingSettings:
        """Settled for a number of training rows."""
        family = kinds.load("adapters", self.adapter)
        return TrainingSettings(
            epochs=default_epochs(rows) if self.epochs is None else self.epochs,
            batch_size=self.batch_size,
            learning_rate=family.LEARNING_RATE if self.learning_rate is None else self.learning_rate,
            head_learning_rate=self.head_learning_rate,
            patience=self.patience,
            seed=self.seed,
        )


def settings_of(given: Mapping[str, Any]) -> ExpertSettings:
    """Settings from outside, such as a form or an API: names and types are checked too.

    Targets may also be a text, with commas between them, and options a text of `name=value`, with semicolons.

    Raises:
        InvalidSettingError: an unknown name, a value of another type or out of range.
    """
    read: dict[str, Any] = {name: READ[name](given[name]) for name in READ if given.get(name) is not None}
    plain = {name: value for name, value in given.items() if name not in READ}
    check_types(ExpertSettings, plain)
    return ExpertSettings(**plain, **read)


def check_types(settings: type, given: Mapping[str, Any]) -> None:
    """Refuse names that are no fields of a dataclass of settings, and values that are not of their types."""
    hints = get_type_hints(settings)
    for name, value in given.items():
        if name not in hints:
            raise InvalidSettingError(f"there is no setting {name!r}; known: {', '.join(hints)}")
        allowed = get_args(hints[name]) or (hints[name],)
        if float in allowed:
            allowed = (*allowed, int)
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            words = {bool: "true or false", str: "a text", float: "a number", int: "a whole number"}
            wanted = next(said for kind, said in words.items() if kind in allowed)
            raise InvalidSettingError(f"{name.replace('_', ' ')} {value!r} must be {wanted}")


def targets_of(given: Any) -> tuple[str, ...]:
    """Names of linear layers, from a list or from a text with commas between them.

    Raises:
        InvalidSettingError: no name, or something else than texts.
    """
    names = given.split(",") if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise InvalidSettingError(f"targets {given!r} must be names of linear layers, such as q_proj,v_proj")
    found = tuple(dict.fromkeys(name.strip() for name in names))
    if not found or "" in found:
        raise InvalidSettingError(f"targets {given!r} hold an empty name: write them as in q_proj,v_proj")
    return found


def options_of(given: Any) -> dict[str, Any]:
    """Options of an adapter kind by name, from a mapping or from a text `name=value; name=value`.

    Raises:
        InvalidSettingError: something else, or a name twice.
    """
    if not isinstance(given, str):
        if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
            raise InvalidSettingError(f"options {given!r} must be name=value, such as block=8")
        return dict(given)
    found: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in given.split(";"))):
        name, sign, value = (word.strip() for word in part.partition("="))
        if not (name and sign and value):
            raise InvalidSettingError(f"option {part!r} must be name=value, such as block=8")
        if name in found:
            raise InvalidSettingError(f"option {name} is given twice: choose one of the values")
        found[name] = value
    return found


READ = {"targets": targets_of, "options": options_of}
"""Settings that are no single value, and how to read them."""


def default_epochs(rows: int) -> int:
    """About 4,500 texts seen in all, but never fewer than 3 epochs nor more than 12."""
    return max(3, min(12, round(4500 / rows)))


def key(**facts: Mapping[str, Any] | str) -> str:
    """SHA-256 of settings: equal settings, equal key."""
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()
