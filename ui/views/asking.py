"""Whom a text is put to, and how the answer is to be given; the same as a command and in Python."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trainer.inputs import Input

if TYPE_CHECKING:
    from trainer.decoding import Decoding


@dataclass(frozen=True, kw_only=True)
class Manner:
    """Whom to ask, and how.

    Attributes:
        generation: whose router chooses; None: that in production.
        expert: who answers, whatever a router would say; None: whom the router chooses. An expert that is
            named answers alone, whether it fits or not: then `fallback` and `top_k` say nothing.
        fallback, top_k: as of `trainer.MoE.stream`.
        writing: fields of `trainer.Decoding`, where they differ from its defaults.
    """

    generation: str | None = None
    expert: str | None = None
    fallback: str | None = None
    top_k: int | None = None
    writing: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def said(
        cls,
        generation: str | None,
        expert: str | None,
        fallback: str | None,
        top_k: int | None,
        **writing: Any,
    ) -> "Manner":
        """From a call; of how answers are written, what is None was not said."""
        chosen = {name: value for name, value in writing.items() if value is not None}
        return cls(generation=generation, expert=expert, fallback=fallback, top_k=top_k, writing=chosen)

    @property
    def policy(self) -> dict[str, Any]:
        """What is said of who answers together, and where no expert fits."""
        said = {} if self.expert is not None else {"fallback": self.fallback, "top_k": self.top_k}
        return {name: value for name, value in said.items() if value is not None}

    @property
    def decoding(self) -> "Decoding":
        """How answers are written.

        Raises:
            InvalidSettingError: a number that nothing can be written with.
        """
        from trainer.decoding import Decoding

        return Decoding(**self.writing)

    def options(self) -> list[str]:
        """What follows `registry predict`, but the texts."""
        whom = {"router": self.generation, "expert": self.expert}
        words = []
        for name, value in {**whom, **self.policy, **self.writing}.items():
            if value is not None:
                words += [f"--{name.replace('_', '-')}", f"{value}"]
        return words


def command(asked: Input, manner: Manner) -> str:
    """What asks the same in a shell."""
    words = ["registry", "predict", *manner.options()]
    if asked.pair is not None:
        columns = ["text", "text_pair", *(f"choice_{place}" for place in range(len(asked.choices)))]
        file = shlex.join([*words, "--data", "pairs.csv"])
        return f"{file}  # with the columns {', '.join(columns[:-1])} and {columns[-1]}"
    for choice in asked.choices:
        words += ["--choice", choice]
    return shlex.join([*words, "--", asked.text])


def python(asked: Input, manner: Manner) -> str:
    """What asks the same in Python."""
    load = "" if manner.generation is None else f", {manner.generation!r}"
    if manner.expert is not None:
        load = f", expert={manner.expert!r}"
    how = [f"{name}={value!r}" for name, value in manner.policy.items()]
    imported = ["MoE"]
    if manner.writing:
        imported.insert(0, "Decoding")
        how.append(f"decoding=Decoding({_named(manner.writing)})")
    given = repr(asked.text if asked.pair is None else (asked.text, asked.pair))
    if asked.choices:
        imported.insert(-1, "Input")
        pair = {} if asked.pair is None else {"pair": asked.pair}
        given = f"Input({asked.text!r}, {_named({**pair, 'choices': asked.choices})})"
    return (
        f"from registry import Registry\nfrom trainer import {', '.join(imported)}\n\n"
        "with Registry() as registry:\n"
        f"    print(MoE.load(registry{load}).predict([{given}]{''.join(f', {one}' for one in how)}))\n"
    )


def _named(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in given.items())
